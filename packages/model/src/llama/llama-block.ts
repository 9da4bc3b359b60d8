import {
  add,
  attention,
  Linear,
  Module,
  RMSNorm,
  reshape,
  rope,
  scope,
  swiglu,
  type Tensor,
} from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import { ropeFactors } from '../config/rope-scaling.js';
import { GatedMemory } from '../memory/gated-memory.js';
import type { InitializerOf } from './initialize.js';
import type { LayerCache, Rotation } from './kv-cache.js';

/** Grouped-query self-attention with rotary positions: B batch, T tokens, H heads, D head width, d model width. */
class LlamaAttention extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;
  private readonly config: ModelConfig;
  private readonly rotation: Rotation;

  constructor(config: ModelConfig, prefix: string, initializerOf: InitializerOf) {
    super();
    const { hiddenSize: d, numHeads, numKvHeads, headDim, attentionBias: bias = false } = config;
    const projection = (name: string, from: number, to: number): Linear =>
      new Linear(from, to, { init: initializerOf(`${prefix}.${name}.weight`), bias });
    this.config = config;
    this.rotation = { theta: config.ropeTheta, factors: ropeFactors(config) };
    this.q_proj = projection('q_proj', d, numHeads * headDim);
    this.k_proj = projection('k_proj', d, numKvHeads * headDim);
    this.v_proj = projection('v_proj', d, numKvHeads * headDim);
    this.o_proj = projection('o_proj', numHeads * headDim, d);
  }

  /**
   * @param x      [B, T, d]
   * @param blend  what else is put into what attention mixed, [B, T, H · D] both
   * @returns      [B, T, d]
   */
  forward(x: Tensor, cache?: LayerCache, blend: (mixed: Tensor) => Tensor = (mixed) => mixed): Tensor {
    const { numHeads, numKvHeads, headDim, slidingWindow: window = 0 } = this.config;
    const [batch = 1, length = 1] = x.shape;
    const heads = (projected: Tensor, count: number): Tensor =>
      reshape(projected, [batch, length, count, headDim]);
    const q = heads(this.q_proj.forward(x), numHeads);
    const k = heads(this.k_proj.forward(x), numKvHeads);
    const v = heads(this.v_proj.forward(x), numKvHeads);
    const { rotation } = this;
    const mixed =
      cache?.attend(q, k, v, rotation, window) ??
      attention(rope(q, rotation), rope(k, rotation), v, { window });
    return this.o_proj.forward(blend(reshape(mixed, [batch, length, numHeads * headDim])));
  }
}

/** SwiGLU: W_down(silu(W_gate x) ⊙ W_up x), each with its bias where there is one. @see Shazeer 2020, arXiv:2002.05202 */
class LlamaMlp extends Module {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;

  constructor(
    { hiddenSize: d, intermediateSize, mlpBias: bias = false }: ModelConfig,
    prefix: string,
    initializerOf: InitializerOf,
  ) {
    super();
    const projection = (name: string, from: number, to: number): Linear =>
      new Linear(from, to, { init: initializerOf(`${prefix}.${name}.weight`), bias });
    this.gate_proj = projection('gate_proj', d, intermediateSize);
    this.up_proj = projection('up_proj', d, intermediateSize);
    this.down_proj = projection('down_proj', intermediateSize, d);
  }

  /** @param x [..., d] @returns [..., d] */
  forward(x: Tensor): Tensor {
    return this.down_proj.forward(swiglu(this.gate_proj.forward(x), this.up_proj.forward(x)));
  }
}

/**
 * One block: x += attention(norm(x)), with a neural memory beside attention where the configuration has one;
 * x += mlp(norm(x)). Of what it computed, only what its gradient needs outlives it.
 */
export class LlamaBlock extends Module {
  readonly self_attn: LlamaAttention;
  readonly memory: GatedMemory | null;
  readonly mlp: LlamaMlp;
  readonly input_layernorm: RMSNorm;
  readonly post_attention_layernorm: RMSNorm;

  constructor(config: ModelConfig, layer: number, initializerOf: InitializerOf) {
    super();
    const prefix = `model.layers.${layer}`;
    this.self_attn = new LlamaAttention(config, `${prefix}.self_attn`, initializerOf);
    const { memory, hiddenSize, numHeads, headDim, rmsNormEps } = config;
    this.memory = memory
      ? new GatedMemory(memory, hiddenSize, numHeads * headDim, rmsNormEps, `${prefix}.memory`, initializerOf)
      : null;
    this.mlp = new LlamaMlp(config, `${prefix}.mlp`, initializerOf);
    this.input_layernorm = new RMSNorm(hiddenSize, rmsNormEps);
    this.post_attention_layernorm = new RMSNorm(hiddenSize, rmsNormEps);
  }

  /** @param x [B, T, d] @returns [B, T, d] */
  forward(x: Tensor, cache?: LayerCache): Tensor {
    const h = scope(() => add(x, this.mix(this.input_layernorm.forward(x), cache)));
    return scope(() => add(h, this.mlp.forward(this.post_attention_layernorm.forward(h))));
  }
  private mix(x: Tensor, cache?: LayerCache): Tensor {
    const { memory } = this;
    if (memory === null) return this.self_attn.forward(x, cache);
    const read = cache?.remember(memory.neural, x) ?? memory.neural.forward(x).read;
    return this.self_attn.forward(x, cache, (mixed) => memory.blend(x, mixed, read));
  }
}
