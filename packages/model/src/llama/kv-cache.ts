import { AppError } from '@agentforge/errors';
import {
  attention,
  copyRows,
  type RopeOptions,
  reshape,
  rope,
  type Tensor,
  viewRows,
  zeros,
} from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import { netCalls } from '../config/recursion-config.js';
import { type MemoryState, type NeuralMemory, tensorsOf } from '../memory/neural-memory.js';

/** How a model rotates positions in. */
export type Rotation = Pick<RopeOptions, 'theta' | 'factors'>;

/** What a block needs of a cache. */
export interface LayerCache {
  /**
   * Rotates queries and keys to their positions, stores keys and values, and attends to everything stored.
   * @param q         f32 [B, T, H, D]
   * @param k         f32 [B, T, Hkv, D]
   * @param v         f32 [B, T, Hkv, D]
   * @param rotation  of queries and keys
   * @param window    positions that a query sees, its own included; 0: all
   * @returns         f32 [B, T, H, D]
   */
  attend(q: Tensor, k: Tensor, v: Tensor, rotation: Rotation, window: number): Tensor;
  /**
   * Lets a memory learn and read the tokens, from where it ended last time.
   * @param x  f32 [B, T, d]
   * @returns  f32 [B, T, w]
   */
  remember(memory: NeuralMemory, x: Tensor): Tensor;
}

/** What a model needs of a cache. */
export interface DecodingCache {
  /** Tokens in the cache. */
  readonly length: number;
  /** Most tokens it holds. */
  readonly capacity: number;
  /** The part of one block. */
  layer(index: number): LayerCache;
  /** Counts tokens that every layer has stored. */
  advance(tokens: number): void;
}

/**
 * Keys and values of the tokens a model has seen, so that the next token costs one position instead of all of them.
 * A model whose blocks run several times has keys and values for each run. Buffers of
 * 2 · runs · layers · batch · capacity · Hkv · D f32; owned by the cache until `dispose`.
 */
export class KvCache implements DecodingCache {
  readonly capacity: number;
  private readonly batch: number;
  private readonly keys: readonly Tensor[];
  private readonly values: readonly Tensor[];
  private readonly memories: (MemoryState | undefined)[] = [];
  private used = 0;

  /**
   * @param batch     rows that are decoded together, default 1
   * @param capacity  most tokens per row, default contextLength
   */
  constructor(config: ModelConfig, { batch = 1, capacity = config.contextLength } = {}) {
    this.batch = batch;
    this.capacity = capacity;
    const buffer = (): Tensor => zeros([batch, capacity, config.numKvHeads, config.headDim]).keep();
    const layers = config.numLayers * (config.recursion ? netCalls(config.recursion) : 1);
    this.keys = Array.from({ length: layers }, buffer);
    this.values = Array.from({ length: layers }, buffer);
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.used;
  }

  layer(index: number): LayerCache {
    const keys = this.keys[index];
    const values = this.values[index];
    if (keys === undefined || values === undefined) throw new RangeError(`the cache has no layer ${index}`);
    return {
      attend: (q, k, v, rotation, window) => {
        const at = { position0: this.used, ...rotation };
        this.store(keys, rope(k, at));
        this.store(values, v);
        return attention(rope(q, at), keys, values, { kvLength: this.used + (k.shape[1] ?? 0), window });
      },
      remember: (memory, x) => {
        const { read, after } = memory.forward(x, this.memories[index]);
        this.replaceMemory(index, after);
        return read;
      },
    };
  }

  advance(tokens: number): void {
    this.used += tokens;
  }

  /** Forgets all tokens; the buffers stay. */
  reset(): void {
    this.used = 0;
    for (const index of this.memories.keys()) this.replaceMemory(index, undefined);
  }

  /**
   * Forgets the tokens after the first `length`, which are not more than there are.
   * @throws AppError  FAILED_PRECONDITION: a neural memory cannot forget what it learned last
   */
  rewind(length: number): void {
    if (length < this.used && this.memories.length > 0)
      throw new AppError(
        'FAILED_PRECONDITION',
        'a model with a neural memory cannot go back to an earlier token',
      );
    this.used = Math.min(this.used, length);
  }

  dispose(): void {
    for (const buffer of [...this.keys, ...this.values]) buffer.dispose();
    for (const index of this.memories.keys()) this.replaceMemory(index, undefined);
  }

  /** Tensors that both states have stay. */
  private replaceMemory(index: number, after: MemoryState | undefined): void {
    const before = this.memories[index];
    const kept = new Set(after && tensorsOf(after));
    for (const tensor of kept) tensor.keep();
    for (const tensor of before ? tensorsOf(before) : []) if (!kept.has(tensor)) tensor.dispose();
    this.memories[index] = after;
  }

  private store(buffer: Tensor, rows: Tensor): void {
    const row = (x: Tensor, index: number): Tensor =>
      reshape(viewRows(x, index, index + 1), x.shape.slice(1));
    for (let index = 0; index < this.batch; index++)
      copyRows(row(buffer, index), row(rows, index), this.used);
  }
}
