import {
  add,
  Linear,
  Module,
  mul,
  parameter,
  RMSNorm,
  sigmoid,
  sub,
  type Tensor,
  zeros,
} from '@agentforge/tensor';
import type { MemoryConfig } from '../config/memory-config.js';
import type { InitializerOf } from '../llama/initialize.js';
import { NeuralMemory } from './neural-memory.js';

/**
 * A memory beside the attention of a block: what attention over the last tokens mixed and what the memory of all of them
 * reads, each normalised with a learned gain, are blended by a gate per token and element.
 * @see Behrouz et al. 2024, arXiv:2501.00663, section 4.2 (memory as a gate)
 */
export class GatedMemory extends Module {
  readonly neural: NeuralMemory;
  readonly gate: Linear;
  readonly attention_norm: RMSNorm;
  readonly memory_norm: RMSNorm;

  /**
   * @param inputWidth  d
   * @param width       w, of the attention's heads together
   */
  constructor(
    config: MemoryConfig,
    inputWidth: number,
    width: number,
    eps: number,
    prefix: string,
    initializerOf: InitializerOf,
  ) {
    super();
    this.neural = new NeuralMemory(config, inputWidth, width, `${prefix}.neural`, initializerOf);
    this.gate = new Linear(inputWidth, width, {
      init: initializerOf(`${prefix}.gate.weight`),
      bias: parameter(zeros([width])),
    });
    this.attention_norm = new RMSNorm(width, eps);
    this.memory_norm = new RMSNorm(width, eps);
  }

  /**
   * @param x      f32 [B, T, d], what attention and memory saw
   * @param mixed  f32 [B, T, w], by attention
   * @param read   f32 [B, T, w], from the memory
   * @returns      f32 [B, T, w]
   */
  blend(x: Tensor, mixed: Tensor, read: Tensor): Tensor {
    const near = this.attention_norm.forward(mixed);
    const far = this.memory_norm.forward(read);
    return add(far, mul(sigmoid(this.gate.forward(x)), sub(near, far)));
  }
}
