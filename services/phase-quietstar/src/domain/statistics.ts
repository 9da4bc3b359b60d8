import type { Philox } from '@agentforge/tensor';

/** A sum over one row, and how many values it is made of. */
export interface RowSum {
  readonly sum: number;
  readonly count: number;
}

/** A mean with the interval that it lies in. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Percentile bootstrap of the mean over all values, resampling whole rows: values of one row are not independent.
 * @param rows        at least one, with at least one value together
 * @param resamples   how often
 * @param confidence  coverage, 0 to 1
 * @param rng         advanced
 * @see Efron & Tibshirani 1993, "An Introduction to the Bootstrap", §13.3
 */
export function bootstrapMean(
  rows: readonly RowSum[],
  resamples: number,
  confidence: number,
  rng: Philox,
): Interval {
  const meanOf = (picked: (i: number) => RowSum): number => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < rows.length; i++) {
      const row = picked(i);
      sum += row.sum;
      count += row.count;
    }
    return count === 0 ? 0 : sum / count;
  };
  const means = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) means[i] = meanOf(() => rows[rng.integer(rows.length)] as RowSum);
  means.sort();
  const quantile = (share: number): number => means[Math.round(share * (resamples - 1))] as number;
  return {
    mean: meanOf((i) => rows[i] as RowSum),
    low: quantile((1 - confidence) / 2),
    high: quantile((1 + confidence) / 2),
  };
}

/**
 * Pearson's correlation of pairs.
 * @returns null where one of the two never changes: then there is none
 */
export function correlation(pairs: readonly (readonly [x: number, y: number])[]): number | null {
  let [meanX, meanY] = [0, 0];
  for (const [x, y] of pairs) {
    meanX += x / pairs.length;
    meanY += y / pairs.length;
  }
  let [xx, yy, xy] = [0, 0, 0];
  for (const [x, y] of pairs) {
    xx += (x - meanX) ** 2;
    yy += (y - meanY) ** 2;
    xy += (x - meanX) * (y - meanY);
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}
