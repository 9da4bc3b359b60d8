import { around, at, axis, build, count, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { exp, floor, log, max, sqrt } = Math;

/** `fold` of the elements along one axis, which is removed, or of all elements. */
export function reduce(x: Dense, along: number | undefined, fold: (values: number[]) => number): Dense {
  if (along === undefined || x.shape.length === 1) return build([1], () => fold([...x.data]));
  const { length, inner } = around(x, along);
  return build([...x.shape.slice(0, along), ...x.shape.slice(along + 1)], (i) => {
    const start = floor(i / inner) * length * inner + (i % inner);
    return fold(Array.from({ length }, (_, j) => at(x, start + j * inner)));
  });
}

/** Sum of values. */
export function sumOf(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Mean of values. */
export function meanOf(values: number[]): number {
  return sumOf(values) / values.length;
}

/** Largest value. */
export function maxOf(values: number[]): number {
  return values.reduce((best, value) => max(best, value), Number.NEGATIVE_INFINITY);
}

/** Index of the first largest value. */
export function argmaxOf(values: number[]): number {
  return values.indexOf(maxOf(values));
}

/** ln Σ eˣ of one row. */
function logSumExp(row: number[]): number {
  const top = maxOf(row);
  return top + log(sumOf(row.map((value) => exp(value - top))));
}

function rowOf(x: Dense, row: number): number[] {
  const length = axis(x, -1);
  return [...x.data.subarray(row * length, (row + 1) * length)];
}

/** eˣ / Σ eˣ over the last axis. */
export function softmax(x: Dense): Dense {
  const length = axis(x, -1);
  const sums = build([x.data.length / length], (row) => logSumExp(rowOf(x, row)));
  return build(x.shape, (i) => exp(at(x, i) - at(sums, floor(i / length))));
}

/** −ln softmax(row)[target], reduced; rows with target = ignoreIndex do not count. */
export function crossEntropy(
  logits: Dense,
  targets: Dense,
  ignoreIndex: number,
  reduction: 'mean' | 'sum' | 'none',
): Dense {
  const losses = build(targets.shape, (i) => {
    const target = at(targets, i);
    return target === ignoreIndex
      ? 0
      : logSumExp(rowOf(logits, i)) - at(logits, i * axis(logits, -1) + target);
  });
  if (reduction === 'none') return losses;
  const rows = reduction === 'mean' ? [...targets.data].filter((target) => target !== ignoreIndex).length : 1;
  return build([1], () => sumOf([...losses.data]) / rows);
}

/** x / √(mean x² + eps) · gain over the last axis; Zhang & Sennrich 2019 eq. 4. */
export function rmsNorm(x: Dense, gain: Dense, eps: number): Dense {
  const length = axis(x, -1);
  const scales = build([count(x.shape) / max(1, length)], (row) => {
    return 1 / sqrt(meanOf(rowOf(x, row).map((value) => value * value)) + eps);
  });
  return build(x.shape, (i) => at(x, i) * at(scales, floor(i / length)) * at(gain, i % length));
}
