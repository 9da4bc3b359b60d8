import { BinaryHeap } from './binary-heap.js';

/** Largest vocabulary: token ids fit in 20 bits, so that a pair of ids fits in one exact number. */
export const MAX_VOCAB_SIZE: number = 2 ** 20;

/** A pair of token ids as one number; ordered like the pair (left first). */
export function pairKey(left: number, right: number): number {
  return left * MAX_VOCAB_SIZE + right;
}

/** One learned merge: `left` followed by `right` becomes `merged`. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly merged: number;
}

const POSITIONS = 2 ** 31;

/** Applies learned merges to a piece: the lowest rank first, the leftmost of equal rank first. */
export class MergeTable {
  private readonly rankOf = new Map<number, number>();
  private readonly mergedOf: Int32Array;

  /** @param merges in the order they were learned; the index is the rank */
  constructor(merges: readonly Merge[]) {
    this.mergedOf = new Int32Array(merges.length);
    merges.forEach(({ left, right, merged }, rank) => {
      this.rankOf.set(pairKey(left, right), rank);
      this.mergedOf[rank] = merged;
    });
  }

  /**
   * @param symbols  initial ids of the piece, one per byte; overwritten
   * @returns        ids after every applicable merge
   * Takes O(n log n) for n symbols, so that a megabyte of one letter is no trap.
   */
  apply(symbols: Int32Array): Int32Array {
    const count = symbols.length;
    if (count < 2) return symbols;
    const previous = new Int32Array(count);
    const next = new Int32Array(count);
    const heap = new BinaryHeap<number>((a, b) => a < b);
    for (let i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1 < count ? i + 1 : -1;
      if (i + 1 < count) this.offer(heap, symbols, i, i + 1);
    }
    let remaining = count;
    for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
      const rank = Math.floor(top / POSITIONS);
      const at = top - rank * POSITIONS;
      const right = next[at] ?? -1;
      // An entry is stale when either of its symbols has been merged since it was pushed.
      if ((symbols[at] ?? -1) < 0 || right < 0) continue;
      if (this.rankOf.get(pairKey(symbols[at] ?? 0, symbols[right] ?? 0)) !== rank) continue;
      symbols[at] = this.mergedOf[rank] ?? 0;
      symbols[right] = -1;
      const after = next[right] ?? -1;
      next[at] = after;
      if (after >= 0) {
        previous[after] = at;
        this.offer(heap, symbols, at, after);
      }
      const before = previous[at] ?? -1;
      if (before >= 0) this.offer(heap, symbols, before, at);
      remaining--;
    }
    const ids = new Int32Array(remaining);
    for (let at = 0, i = 0; at >= 0; at = next[at] ?? -1) ids[i++] = symbols[at] ?? 0;
    return ids;
  }

  private offer(heap: BinaryHeap<number>, symbols: Int32Array, left: number, right: number): void {
    const rank = this.rankOf.get(pairKey(symbols[left] ?? 0, symbols[right] ?? 0));
    if (rank !== undefined) heap.push(rank * POSITIONS + left);
  }
}
