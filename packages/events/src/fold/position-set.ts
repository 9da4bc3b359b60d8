/** A set of small non-negative integers that never changes, one bit each: 10,000 positions copy in 1.25 kB. */
export class PositionSet implements Iterable<number> {
  static readonly EMPTY = new PositionSet(new Uint32Array(0), 0);

  private constructor(
    private readonly words: Uint32Array,
    readonly size: number,
  ) {}

  /** The set of these positions. */
  static from(positions: Iterable<number>): PositionSet {
    const all = [...positions];
    if (all.length === 0) return PositionSet.EMPTY;
    const highest = all.reduce((most, position) => Math.max(most, position), 0);
    const words = new Uint32Array((highest >>> 5) + 1);
    for (const position of all) setBit(words, position);
    return new PositionSet(words, new Set(all).size);
  }

  /** Whether a position is in the set. */
  has(position: number): boolean {
    return (((this.words[position >>> 5] ?? 0) >>> (position & 31)) & 1) === 1;
  }

  /** This set and one more position. */
  with(position: number): PositionSet {
    if (this.has(position)) return this;
    const words = new Uint32Array(Math.max(this.words.length, (position >>> 5) + 1));
    words.set(this.words);
    setBit(words, position);
    return new PositionSet(words, this.size + 1);
  }

  /** This set without a position. */
  without(position: number): PositionSet {
    if (!this.has(position)) return this;
    const words = this.words.slice();
    words[position >>> 5] = (words[position >>> 5] ?? 0) & ~(1 << (position & 31));
    return new PositionSet(words, this.size - 1);
  }

  /** The positions in ascending order. */
  *[Symbol.iterator](): Iterator<number> {
    for (let index = 0; index < this.words.length; index++) {
      for (let word = this.words[index] ?? 0; word !== 0; word &= word - 1)
        yield index * 32 + 31 - Math.clz32(word & -word);
    }
  }
}

function setBit(words: Uint32Array, position: number): void {
  words[position >>> 5] = (words[position >>> 5] ?? 0) | (1 << (position & 31));
}
