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
   * @returns         f32 [B, T, H, D]
   */
  attend(q: Tensor, k: Tensor, v: Tensor, rotation: Rotation): Tensor;
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
 * Buffers of 2 · layers · batch · capacity · Hkv · D f32; owned by the cache until `dispose`.
 */
export class KvCache implements DecodingCache {
  readonly capacity: number;
  private readonly batch: number;
  private readonly keys: readonly Tensor[];
  private readonly values: readonly Tensor[];
  private used = 0;

  /**
   * @param batch     rows that are decoded together, default 1
   * @param capacity  most tokens per row, default contextLength
   */
  constructor(config: ModelConfig, { batch = 1, capacity = config.contextLength } = {}) {
    this.batch = batch;
    this.capacity = capacity;
    const buffer = (): Tensor => zeros([batch, capacity, config.numKvHeads, config.headDim]).keep();
    this.keys = Array.from({ length: config.numLayers }, buffer);
    this.values = Array.from({ length: config.numLayers }, buffer);
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
      attend: (q, k, v, rotation) => {
        const at = { position0: this.used, ...rotation };
        this.store(keys, rope(k, at));
        this.store(values, v);
        return attention(rope(q, at), keys, values, { kvLength: this.used + (k.shape[1] ?? 0) });
      },
    };
  }

  advance(tokens: number): void {
    this.used += tokens;
  }

  /** Forgets all tokens; the buffers stay. */
  reset(): void {
    this.used = 0;
  }

  /** Forgets the tokens after the first `length`, which are not more than there are. */
  rewind(length: number): void {
    this.used = Math.min(this.used, length);
  }

  dispose(): void {
    for (const buffer of [...this.keys, ...this.values]) buffer.dispose();
  }

  private store(buffer: Tensor, rows: Tensor): void {
    const row = (x: Tensor, index: number): Tensor =>
      reshape(viewRows(x, index, index + 1), x.shape.slice(1));
    for (let index = 0; index < this.batch; index++)
      copyRows(row(buffer, index), row(rows, index), this.used);
  }
}
