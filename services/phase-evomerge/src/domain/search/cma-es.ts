import type { Philox } from '@agentforge/tensor';
import { type CmaConstants, cmaConstants } from './cma-constants.js';
import { type Eigen, type Matrix, symmetricEigen } from './jacobi.js';

/** The distribution that a search samples from, and how it got there: plain JSON, exact. */
export interface CmaState {
  readonly mean: readonly number[];
  /** Step size σ; samples are N(mean, σ² covariance). */
  readonly sigma: number;
  readonly covariance: Matrix;
  /** Path of the mean in the coordinates of the samples, for the covariance. */
  readonly pathC: readonly number[];
  /** The same in coordinates where samples are isotropic, for the step size. */
  readonly pathSigma: readonly number[];
  /** Generations that were learnt from. */
  readonly generation: number;
}

/** Eigenvalues are kept above this share of the largest: rounding must not make a variance negative. */
const LEAST_VARIANCE = 1e-14;

/** Isotropic samples around a point. */
export function beginCma(mean: readonly number[], sigma: number): CmaState {
  const zero = mean.map(() => 0);
  const covariance = mean.map((_, i) => mean.map((_, j) => Number(i === j)));
  return { mean, sigma, covariance, pathC: zero, pathSigma: zero, generation: 0 };
}

/**
 * The samples of the next generation. The square root of the covariance is the symmetric one, so that they do not depend
 * on the order and signs of eigenvectors.
 * @param rng  a stream for this generation
 */
export function sampleCma(state: CmaState, count: number, rng: Philox): number[][] {
  const root = powerOf(eigenOf(state), 0.5);
  return Array.from({ length: count }, () => {
    const z = state.mean.map(() => rng.normal());
    return addScaled(state.mean, state.sigma, times(root, z));
  });
}

/**
 * Learns from a generation: weighted recombination, cumulative step-size adaptation, and the covariance from the path of
 * the mean (rank one) and from all samples (rank µ), with negative weights for the worse half.
 * @param samples  of {@link sampleCma}
 * @param losses   one per sample; only their order counts. What is not a number is worst
 * @see Hansen 2016, arXiv:1604.00772, figure 6
 */
export function learnCma(
  state: CmaState,
  samples: readonly (readonly number[])[],
  losses: readonly number[],
): CmaState {
  const n = state.mean.length;
  const constants = cmaConstants(n, samples.length);
  const { weights, mu, muEff, cSigma, cC, dSigma, chiN } = constants;
  const ranked = rank(losses).map((i) => samples[i] as readonly number[]);
  const steps = ranked.map((x) => x.map((value, k) => (value - (state.mean[k] as number)) / state.sigma));
  const shift = state.mean.map((_, k) =>
    steps.slice(0, mu).reduce((sum, y, i) => sum + (weights[i] as number) * (y[k] as number), 0),
  );
  const whiten = powerOf(eigenOf(state), -0.5);
  const pathSigma = addScaled(
    state.pathSigma.map((p) => (1 - cSigma) * p),
    Math.sqrt(cSigma * (2 - cSigma) * muEff),
    times(whiten, shift),
  );
  const generation = state.generation + 1;
  const length = norm(pathSigma);
  // A path that is long because σ is too small says nothing about the covariance.
  const isPathUsed = length ** 2 / (1 - (1 - cSigma) ** (2 * generation)) < (2 + 4 / (n + 1)) * n;
  const pathC = addScaled(
    state.pathC.map((p) => (1 - cC) * p),
    isPathUsed ? Math.sqrt(cC * (2 - cC) * muEff) : 0,
    shift,
  );
  return {
    mean: addScaled(state.mean, state.sigma, shift),
    sigma: state.sigma * Math.exp(Math.min(1, (cSigma / dSigma) * (length / chiN - 1))),
    covariance: learnCovariance(state.covariance, { constants, pathC, isPathUsed, steps, whiten }),
    pathC,
    pathSigma,
    generation,
  };
}

/** The standard deviation of samples along the widest direction. */
export function spreadOf(state: CmaState): number {
  return state.sigma * Math.sqrt(Math.max(...eigenOf(state).values));
}

interface Lesson {
  readonly constants: CmaConstants;
  readonly pathC: readonly number[];
  readonly isPathUsed: boolean;
  /** (x − mean) / σ, best first. */
  readonly steps: readonly (readonly number[])[];
  readonly whiten: Matrix;
}

function learnCovariance(
  covariance: Matrix,
  { constants, pathC, isPathUsed, steps, whiten }: Lesson,
): Matrix {
  const { weights, c1, cC, cMu } = constants;
  const n = covariance.length;
  // A negative weight takes away the same variance however long its step was: C stays positive definite.
  const own = steps.map((y, i) => {
    const weight = weights[i] as number;
    return weight >= 0 ? weight : (weight * n) / (norm(times(whiten, y)) + 1e-9) ** 2;
  });
  const missing = isPathUsed ? 0 : cC * (2 - cC);
  const kept = 1 + c1 * missing - c1 - cMu * weights.reduce((sum, weight) => sum + weight, 0);
  const entry = (i: number, j: number) => {
    let rankMu = 0;
    for (const [k, y] of steps.entries()) {
      rankMu += (own[k] as number) * (y[i] as number) * (y[j] as number);
    }
    const old = (covariance[i] as readonly number[])[j] as number;
    return kept * old + c1 * (pathC[i] as number) * (pathC[j] as number) + cMu * rankMu;
  };
  return covariance.map((row, i) => row.map((_, j) => (j <= i ? entry(i, j) : entry(j, i))));
}

/** Sampling and learning need the same decomposition. */
const decomposed = new WeakMap<Matrix, Eigen>();

function eigenOf({ covariance }: CmaState): Eigen {
  const known = decomposed.get(covariance);
  if (known) return known;
  const { values, vectors } = symmetricEigen(covariance);
  const least = LEAST_VARIANCE * Math.max(...values);
  const eigen = { values: values.map((value) => Math.max(value, least)), vectors };
  decomposed.set(covariance, eigen);
  return eigen;
}

/** V diag(valuesᵖ) Vᵀ. */
function powerOf({ values, vectors }: Eigen, exponent: number): Matrix {
  const scaled = vectors.map((row) => row.map((x, k) => x * (values[k] as number) ** exponent));
  return scaled.map((row) => vectors.map((other) => dot(row, other)));
}

/** Indices, best first; of equals the earlier one. */
function rank(losses: readonly number[]): number[] {
  const key = (i: number) => (Number.isNaN(losses[i]) ? Number.POSITIVE_INFINITY : (losses[i] as number));
  return losses.map((_, i) => i).sort((i, j) => (key(i) === key(j) ? i - j : key(i) < key(j) ? -1 : 1));
}

function times(matrix: Matrix, x: readonly number[]): number[] {
  return matrix.map((row) => dot(row, x));
}

function dot(x: readonly number[], y: readonly number[]): number {
  return x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
}

function norm(x: readonly number[]): number {
  return Math.sqrt(dot(x, x));
}

function addScaled(x: readonly number[], factor: number, y: readonly number[]): number[] {
  return x.map((value, i) => value + factor * (y[i] as number));
}
