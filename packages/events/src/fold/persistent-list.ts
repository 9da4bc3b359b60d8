/** Children of a node: a change copies one node per level, three of them for 10,000 elements. */
const WIDTH = 32;
const BITS = 5;

type Node<T> = readonly (Node<T> | T)[];

/**
 * A list that never changes: `with` gives a new one that shares almost everything with the old. A tree whose
 * leaves hold 32 elements each.
 * @see Bagwell, Rompf 2011: RRB-Trees, section 2
 */
export class PersistentList<T> implements Iterable<T> {
  private constructor(
    private readonly root: Node<T>,
    /** Bits of a position above those that choose within the root's children. */
    private readonly shift: number,
    readonly length: number,
  ) {}

  /** The list of these elements. */
  static from<T>(elements: readonly T[]): PersistentList<T> {
    let level: Node<T>[] = split(elements);
    let shift = 0;
    for (; level.length > 1; shift += BITS) level = split(level);
    return new PersistentList(level[0] ?? [], shift, elements.length);
  }

  /** The element at a position; undefined outside the list. */
  at(position: number): T | undefined {
    if (!(position >= 0 && position < this.length)) return undefined;
    let node = this.root;
    for (let shift = this.shift; shift > 0; shift -= BITS)
      node = node[(position >>> shift) % WIDTH] as Node<T>;
    return node[position % WIDTH] as T;
  }

  /** This list with another element at a position. @throws RangeError outside the list */
  with(position: number, element: T): PersistentList<T> {
    if (!(position >= 0 && position < this.length)) throw new RangeError(`no position ${position}`);
    return new PersistentList(replace(this.root, this.shift, position, element), this.shift, this.length);
  }

  /** This list followed by further elements. */
  concat(elements: readonly T[]): PersistentList<T> {
    return PersistentList.from([...this, ...elements]);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.toArray()[Symbol.iterator]();
  }

  /** The first elements, as an array of its own. */
  first(count: number): T[] {
    const length = Math.min(count, this.length);
    return Array.from({ length }, (_, position) => this.at(position) as T);
  }

  /** The elements from a position on. */
  *from(position: number): Generator<T, void, undefined> {
    for (let at = position; at < this.length; at++) yield this.at(at) as T;
  }

  /** The elements as an array of its own. */
  toArray(): T[] {
    let level: Node<T> = this.root;
    for (let shift = this.shift; shift > 0; shift -= BITS)
      level = (level as readonly Node<T>[]).flat(1) as Node<T>;
    return [...level] as T[];
  }
}

function split<T>(elements: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < elements.length; start += WIDTH)
    parts.push(elements.slice(start, start + WIDTH));
  return parts;
}

function replace<T>(node: Node<T>, shift: number, position: number, element: T): Node<T> {
  const copy = node.slice();
  const index = (position >>> shift) % WIDTH;
  copy[index] = shift === 0 ? element : replace(node[index] as Node<T>, shift - BITS, position, element);
  return copy;
}
