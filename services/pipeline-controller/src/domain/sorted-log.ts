/** Something with a place in an order that never changes. */
export interface Ordered {
  readonly sequence: bigint;
  /** Place among those with the same sequence. */
  readonly offset: number;
}

/** A list that grows at its end, read in either direction from any place. */
export class SortedLog<T extends Ordered> {
  readonly #entries: T[] = [];

  get length(): number {
    return this.#entries.length;
  }

  /** Adds an entry; almost always the last one. */
  add(entry: T): void {
    const last = this.#entries.at(-1);
    if (last === undefined || compare(last, entry) <= 0) this.#entries.push(entry);
    else this.#entries.splice(this.#firstAfter(entry), 0, entry);
  }

  /** Entries after a place (or all), ascending. */
  *ascending(after?: Ordered): Generator<T> {
    for (let i = after ? this.#firstAfter(after) : 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (entry !== undefined) yield entry;
    }
  }

  /** Entries before a place (or all), descending. */
  *descending(before?: Ordered): Generator<T> {
    const from = before ? this.#firstAfter(before, -1) : this.#entries.length;
    for (let i = from - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry !== undefined) yield entry;
    }
  }

  /** Index of the first entry after a place; with `margin` -1, of the first at or after it. */
  #firstAfter(place: Ordered, margin = 0): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && compare(entry, place) <= margin) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const compare = (a: Ordered, b: Ordered): number =>
  a.sequence === b.sequence ? a.offset - b.offset : a.sequence < b.sequence ? -1 : 1;
