import { concat, type Tensor, viewRows } from '@agentforge/tensor';
import type { DecodingCache, KvCache, LayerCache } from './kv-cache.js';

/**
 * Caches of rows that have seen different numbers of tokens, so that they can be decoded together: the projections
 * run over all rows at once, positions and attention row by row. Row i of a batch belongs to `rows[i]`.
 */
export class RowCaches implements DecodingCache {
  private readonly rows: readonly KvCache[];

  /** @param rows caches of one row each; still owned by the caller */
  constructor(rows: readonly KvCache[]) {
    this.rows = rows;
  }

  /** Tokens in the longest row. */
  get length(): number {
    return Math.max(...this.rows.map(({ length }) => length));
  }

  /** Tokens that the row with the least room left can end at, counted from the longest row. */
  get capacity(): number {
    return this.length + Math.min(...this.rows.map(({ capacity, length }) => capacity - length));
  }

  layer(index: number): LayerCache {
    const byRow = (apply: (cache: LayerCache, of: (x: Tensor) => Tensor) => Tensor): Tensor => {
      const outputs = this.rows.map((cache, row) =>
        apply(cache.layer(index), (x) => viewRows(x, row, row + 1)),
      );
      const [only] = outputs;
      return outputs.length === 1 && only !== undefined ? only : concat(outputs, 0);
    };
    return {
      attend: (q, k, v, rotation, window) =>
        byRow((cache, of) => cache.attend(of(q), of(k), of(v), rotation, window)),
      remember: (memory, x) => byRow((cache, of) => cache.remember(memory, of(x))),
    };
  }

  advance(tokens: number): void {
    for (const cache of this.rows) cache.advance(tokens);
  }
}
