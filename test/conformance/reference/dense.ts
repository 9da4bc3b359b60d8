/** A row-major array in double precision: what every reference takes and gives. */
export interface Dense {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Number of elements of a shape. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** An array of `shape` whose element i is value(i). */
export function build(shape: readonly number[], value: (i: number) => number): Dense {
  return { shape, data: Float64Array.from({ length: count(shape) }, (_, i) => value(i)) };
}

/** Element i of an array; reading outside it is a mistake in the reference. */
export function at(x: Dense, i: number): number {
  const value = x.data[i];
  if (value === undefined) throw new RangeError(`element ${i} of ${x.data.length}`);
  return value;
}

/** Axis `i` of a shape, from the end when negative. */
export function axis(x: Dense, i: number): number {
  const length = x.shape.at(i);
  if (length === undefined) throw new RangeError(`axis ${i} of [${x.shape}]`);
  return length;
}

/** Axis lengths before, at and after an axis, the first and last multiplied together. */
export function around(x: Dense, i: number): { outer: number; length: number; inner: number } {
  return { outer: count(x.shape.slice(0, i)), length: axis(x, i), inner: count(x.shape.slice(i + 1)) };
}
