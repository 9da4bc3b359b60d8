import { checkSources, MergeOperandError } from './operands.js';

/** How task vectors are mixed once they are sparse. */
export interface MixOptions {
  /** Elect one sign per entry and mix only what agrees with it (TIES). */
  readonly consensus: boolean;
  /** Divide each entry by the sum of the weights that took part. */
  readonly normalize: boolean;
  /** Factor on the mixed delta, default 1. */
  readonly lambda: number;
}

/**
 * `base + λ · mix(deltas)`: the second half of task arithmetic, TIES and DARE.
 *
 * With `consensus` the sign of entry j is that of `Σ wᵢ δᵢⱼ`, and + when that sum is 0; entries that are 0 agree with
 * no sign. With `normalize` a divisor of 0 is replaced by 1.
 * @param base     flat f32 tensor; not modified
 * @param deltas   `xᵢ - base`, sparse or not; one per model, the length of base; not modified
 * @param weights  one per delta
 * @returns        a new array; sums in f64
 * @throws MergeOperandError  INVALID_ARGUMENT: counts or lengths differ
 * @see mergekit `generalized_task_arithmetic`; Ilharco et al. 2022, arXiv:2212.04089
 */
export function mixTaskVectors(
  base: Float32Array,
  deltas: readonly Float32Array[],
  weights: readonly number[],
  options: MixOptions,
): Float32Array {
  if (checkSources('task vectors', deltas, weights) !== base.length) {
    throw new MergeOperandError('task vectors', `base has ${base.length} elements, deltas another number`);
  }
  const sums = weightedSums(deltas, weights);
  const divisors = options.consensus ? electSigns(sums, deltas, weights) : null;
  const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
  const merged = new Float32Array(base.length);
  for (let j = 0; j < base.length; j++) {
    const weight = divisors ? (divisors[j] as number) : totalWeight;
    const divisor = options.normalize && Math.abs(weight) >= 1e-8 ? weight : 1;
    merged[j] = (base[j] as number) + (options.lambda * (sums[j] as number)) / divisor;
  }
  return merged;
}

/** `x - base`, a new array. */
export function taskVector(x: Float32Array, base: Float32Array): Float32Array {
  const delta = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) delta[i] = (x[i] as number) - (base[i] as number);
  return delta;
}

function weightedSums(deltas: readonly Float32Array[], weights: readonly number[]): Float64Array {
  const sums = new Float64Array(deltas[0]?.length ?? 0);
  deltas.forEach((delta, i) => {
    const weight = weights[i] as number;
    for (let j = 0; j < sums.length; j++) sums[j] = (sums[j] as number) + weight * (delta[j] as number);
  });
  return sums;
}

/**
 * Turns the sums of all shares into the sums of the shares whose sign is elected, in place.
 * @returns the weight that took part in each entry
 */
function electSigns(
  sums: Float64Array,
  deltas: readonly Float32Array[],
  weights: readonly number[],
): Float64Array {
  const elected = Int8Array.from(sums, (sum) => (sum >= 0 ? 1 : -1));
  const divisors = new Float64Array(sums.length);
  sums.fill(0);
  deltas.forEach((delta, i) => {
    const weight = weights[i] as number;
    for (let j = 0; j < sums.length; j++) {
      const share = weight * (delta[j] as number);
      if (Math.sign(share) !== elected[j]) continue;
      sums[j] = (sums[j] as number) + share;
      divisors[j] = (divisors[j] as number) + weight;
    }
  });
  return divisors;
}
