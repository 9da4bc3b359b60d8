/** Elements per chunk: a change copies one chunk and the list of chunks, ~200 pointers for 10,000 elements. */
const CHUNK = 128;

/**
 * A list that never changes: `with` gives a new one that shares all but one chunk with the old.
 */
export class PersistentList<T> implements Iterable<T> {
  private constructor(
    private readonly chunks: readonly (readonly T[])[],
    readonly length: number,
  ) {}

  /** The list of these elements. */
  static from<T>(elements: readonly T[]): PersistentList<T> {
    const chunks: T[][] = [];
    for (let start = 0; start < elements.length; start += CHUNK)
      chunks.push(elements.slice(start, start + CHUNK));
    return new PersistentList(chunks, elements.length);
  }

  /** The element at a position; undefined outside the list. */
  at(position: number): T | undefined {
    return this.chunks[Math.floor(position / CHUNK)]?.[position % CHUNK];
  }

  /** This list with another element at a position. @throws RangeError outside the list */
  with(position: number, element: T): PersistentList<T> {
    if (!(position >= 0 && position < this.length)) throw new RangeError(`no position ${position}`);
    const index = Math.floor(position / CHUNK);
    const chunk = [...(this.chunks[index] ?? [])];
    chunk[position % CHUNK] = element;
    const chunks = [...this.chunks];
    chunks[index] = chunk;
    return new PersistentList(chunks, this.length);
  }

  /** This list followed by further elements. */
  concat(elements: readonly T[]): PersistentList<T> {
    return PersistentList.from([...this, ...elements]);
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const chunk of this.chunks) yield* chunk;
  }

  /** The elements as an array of its own. */
  toArray(): T[] {
    return this.chunks.flat();
  }
}
