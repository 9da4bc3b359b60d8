import { checkSources } from './operands.js';

/**
 * Weighted sum: `Σ wᵢ xᵢ`, divided by `Σ wᵢ` when normalised.
 * @param sources    one flat f32 tensor per model, equal lengths; not modified
 * @param weights    one per source, any sign
 * @param normalize  divide by the sum of the weights; a sum below 1e-8 is not divided by, as in mergekit
 * @returns          a new array; sums are accumulated in f64
 * @throws MergeOperandError  INVALID_ARGUMENT: counts or lengths differ
 * @see mergekit `linear`; Wortsman et al. 2022, arXiv:2203.05482 (model soups)
 */
export function linear(
  sources: readonly Float32Array[],
  weights: readonly number[],
  normalize = true,
): Float32Array {
  const length = checkSources('linear', sources, weights);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const scale = normalize && Math.abs(total) >= 1e-8 ? 1 / total : 1;
  const factors = weights.map((weight) => weight * scale);
  const merged = new Float32Array(length);
  const sums = new Float64Array(length);
  sources.forEach((source, i) => {
    const factor = factors[i] ?? 0;
    if (factor === 0) return;
    for (let j = 0; j < length; j++) sums[j] = (sums[j] as number) + factor * (source[j] as number);
  });
  merged.set(sums);
  return merged;
}
