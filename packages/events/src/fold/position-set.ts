/** Bits of a word: small integers, which arrays hold without boxing. */
const WORD_BITS = 30;
/** Words of a page: a change copies one page and the list of pages, 44 numbers for 10,000 positions. */
const PAGE_WORDS = 32;
const PAGE_BITS = WORD_BITS * PAGE_WORDS;

type Page = readonly number[];
const EMPTY_PAGE: Page = Array.from({ length: PAGE_WORDS }, () => 0);

/** A set of small non-negative integers that never changes, one bit each, in pages that are shared. */
export class PositionSet implements Iterable<number> {
  static readonly EMPTY = new PositionSet([], 0);

  private constructor(
    private readonly pages: readonly Page[],
    readonly size: number,
  ) {}

  /** The set of these positions. */
  static from(positions: Iterable<number>): PositionSet {
    const pages: number[][] = [];
    let size = 0;
    for (const position of positions) {
      const index = Math.floor(position / PAGE_BITS);
      while (pages.length <= index) pages.push([...EMPTY_PAGE]);
      const page = pages[index] ?? [];
      const word = wordOf(position);
      const value = page[word] ?? 0;
      if ((value & bitOf(position)) === 0) size++;
      page[word] = value | bitOf(position);
    }
    return new PositionSet(pages, size);
  }

  /** Whether a position is in the set. */
  has(position: number): boolean {
    const page = this.pages[Math.floor(position / PAGE_BITS)];
    return page !== undefined && ((page[wordOf(position)] ?? 0) & bitOf(position)) !== 0;
  }

  /** This set and one more position. */
  with(position: number): PositionSet {
    return this.has(position) ? this : this.flip(position, 1);
  }

  /** This set without a position. */
  without(position: number): PositionSet {
    return this.has(position) ? this.flip(position, -1) : this;
  }

  /** The positions in ascending order. */
  *[Symbol.iterator](): Iterator<number> {
    for (let page = 0; page < this.pages.length; page++) {
      const words = this.pages[page] ?? EMPTY_PAGE;
      if (words === EMPTY_PAGE) continue;
      for (let word = 0; word < PAGE_WORDS; word++) {
        const base = page * PAGE_BITS + word * WORD_BITS;
        for (let rest = words[word] ?? 0; rest !== 0; rest &= rest - 1)
          yield base + 31 - Math.clz32(rest & -rest);
      }
    }
  }

  private flip(position: number, change: 1 | -1): PositionSet {
    const index = Math.floor(position / PAGE_BITS);
    const pages = this.pages.slice();
    while (pages.length <= index) pages.push(EMPTY_PAGE);
    const page = (pages[index] ?? EMPTY_PAGE).slice();
    const word = wordOf(position);
    page[word] = (page[word] ?? 0) ^ bitOf(position);
    pages[index] = page;
    return new PositionSet(pages, this.size + change);
  }
}

function wordOf(position: number): number {
  return Math.floor((position % PAGE_BITS) / WORD_BITS);
}

function bitOf(position: number): number {
  return 1 << (position % WORD_BITS);
}
