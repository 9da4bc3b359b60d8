/**
 * Every value of a measurement, kept exactly: 8 bytes each, so a million of them is 8 MB and no bucket rounds a tail.
 */
export class Samples {
  #values;
  #count = 0;
  /** A sorted copy; undefined after a change. */
  #sorted;

  /** @param values  to start with; copied */
  constructor(values = []) {
    this.#values = Float64Array.from(values);
    this.#count = this.#values.length;
  }

  add(value) {
    if (!Number.isFinite(value)) throw new RangeError(`${value} is not a measurement`);
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(Math.max(1024, this.#values.length * 2));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = value;
    this.#sorted = undefined;
  }

  /** A new set with the values of several. */
  static merged(sets) {
    return new Samples(sets.flatMap((set) => [...set.values()]));
  }

  get count() {
    return this.#count;
  }

  /** The values in the order in which they came; a view that the next `add` may leave behind. */
  values() {
    return this.#values.subarray(0, this.#count);
  }

  /**
   * The smallest value that at least this share of the values does not exceed (nearest rank, no interpolation): the
   * 0.99 quantile of fewer than 100 values is the largest.
   * @param share  0 to 1
   * @throws RangeError  there are no values
   */
  quantile(share) {
    if (this.#count === 0) throw new RangeError('no measurements');
    this.#sorted ??= this.values().slice().sort();
    // The product may be a hair above a whole number: 0.99 × 100 is, in binary, not quite 99.
    const rank = Math.ceil(share * this.#count - 1e-9);
    return this.#sorted[Math.min(this.#count, Math.max(1, rank)) - 1];
  }

  get median() {
    return this.quantile(0.5);
  }

  get max() {
    return this.quantile(1);
  }

  get mean() {
    return this.values().reduce((sum, value) => sum + value, 0) / this.#count;
  }

  /** How many values are larger. */
  countAbove(limit) {
    return this.values().reduce((count, value) => count + (value > limit ? 1 : 0), 0);
  }
}
