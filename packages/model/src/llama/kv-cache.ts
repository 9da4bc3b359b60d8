import { copyRows, reshape, type Tensor, viewRows, zeros } from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';

/** What a block needs of the cache. */
export interface LayerCache {
  /** Tokens already in the cache. */
  readonly length: number;
  /** Stores new keys and values [B, T, Hkv, D] and returns the whole buffers [B, capacity, Hkv, D]. */
  append(k: Tensor, v: Tensor): [Tensor, Tensor];
}

/**
 * Keys and values of the tokens a model has seen, so that the next token costs one position instead of all of them.
 * Buffers of 2 · layers · batch · capacity · Hkv · D f32; owned by the cache until `dispose`.
 */
export class KvCache {
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

  /** The part of one block. */
  layer(index: number): LayerCache | undefined {
    const keys = this.keys[index];
    const values = this.values[index];
    if (keys === undefined || values === undefined) return undefined;
    return {
      length: this.used,
      append: (k, v) => {
        this.store(keys, k);
        this.store(values, v);
        return [keys, values];
      },
    };
  }

  /** Counts tokens that every layer has appended. */
  advance(tokens: number): void {
    this.used += tokens;
  }

  /** Forgets all tokens; the buffers stay. */
  reset(): void {
    this.used = 0;
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
