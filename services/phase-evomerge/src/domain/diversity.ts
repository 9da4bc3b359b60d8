import type { Weights } from './layout.js';

/** Coordinates that stand for a model when distances are measured. */
const SKETCH_LENGTH = 65_536;

/**
 * Every k-th weight, in the order of names: enough to estimate distances between models to about a percent.
 * @param names  tensors to look at: those that all models have
 */
export function sketch(weights: Weights, names: Iterable<string>): Float32Array {
  const tensors = [...names].flatMap((name) => weights.get(name) ?? []);
  const elements = tensors.reduce((sum, tensor) => sum + tensor.length, 0);
  const stride = Math.max(1, Math.ceil(elements / SKETCH_LENGTH));
  const sampled = new Float32Array(Math.ceil(elements / stride));
  let next = 0;
  let filled = 0;
  let offset = 0;
  for (const tensor of tensors) {
    for (; next < offset + tensor.length; next += stride) sampled[filled++] = tensor[next - offset] as number;
    offset += tensor.length;
  }
  return sampled;
}

/** Mean Euclidean distance over all pairs; 0 for fewer than two. */
export function meanPairwiseDistance(sketches: readonly Float32Array[]): number {
  let sum = 0;
  let pairs = 0;
  for (let i = 0; i < sketches.length; i++) {
    for (let j = i + 1; j < sketches.length; j++) {
      sum += distance(sketches[i] as Float32Array, sketches[j] as Float32Array);
      pairs++;
    }
  }
  return pairs === 0 ? 0 : sum / pairs;
}

/**
 * How spread out a population is, relative to its parents: mean pairwise distance of the individuals over that of the
 * parents, at most 1. Parents that are equal leave nothing to be diverse about: 0.
 */
export function diversityOf(population: readonly Float32Array[], parents: readonly Float32Array[]): number {
  const scale = meanPairwiseDistance(parents);
  return scale === 0 ? 0 : Math.min(1, meanPairwiseDistance(population) / scale);
}

/** Of each individual: its mean distance to the others, relative to that between the parents; 0 when they are equal. */
export function ownDiversities(
  population: readonly Float32Array[],
  parents: readonly Float32Array[],
): number[] {
  const scale = meanPairwiseDistance(parents) * Math.max(1, population.length - 1);
  return population.map((own) =>
    scale === 0 ? 0 : population.reduce((sum, other) => sum + distance(own, other), 0) / scale,
  );
}

function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return Math.sqrt(sum);
}
