import { MERGE_METHODS, MERGE_RESCALES } from '@agentforge/native';
import { native } from '../backend.js';
import { float } from '../ops/operand.js';
import type { Philox } from '../random/philox.js';
import type { Tensor } from '../tensor.js';
import { merged, modelHandles, perModel } from './models.js';

/** What kept entries of a task vector are multiplied by. */
export type Rescale = 'none' | 'match_l1' | 'inverse_density';

const RESCALE_CODES = {
  none: MERGE_RESCALES.NONE,
  match_l1: MERGE_RESCALES.MATCH_L1,
  inverse_density: MERGE_RESCALES.INVERSE_DENSITY,
} as const;

/** Settings of all merges of task vectors; the method names what differs from these defaults. */
export interface TaskVectorOptions {
  /** One per model. */
  readonly weights: readonly number[];
  /** Divide each entry by the weights that took part in it. */
  readonly normalize?: boolean;
  /** Factor of the mixed task vector. Default 1. */
  readonly lambda?: number;
  /** `match_l1` keeps the sum of magnitudes (mergekit), `inverse_density` the expectation (the DARE and DELLA papers). */
  readonly rescale?: Rescale;
}

/** Settings of merges that drop entries: the share that stays, (0, 1], one for all models or one each. */
export interface SparseOptions extends TaskVectorOptions {
  /** Default 1: everything stays. */
  readonly density?: number | readonly number[];
}

/** Settings of merges that drop at random: model i draws from the stream `source-i` of `stream`, which does not advance. */
export interface RandomOptions extends SparseOptions {
  readonly stream: Philox;
}

interface Method {
  readonly op: string;
  readonly code: (typeof MERGE_METHODS)[keyof typeof MERGE_METHODS];
  readonly consensus: boolean;
  readonly normalize: boolean;
  readonly rescale: Rescale;
}

function mix(
  method: Method,
  base: Tensor,
  models: readonly Tensor[],
  options: SparseOptions,
  extra: number | readonly number[] = 0,
  stream: Philox | null = null,
): Tensor {
  const { op, code, consensus } = method;
  const {
    weights,
    normalize = method.normalize,
    lambda = 1,
    rescale = method.rescale,
    density = 1,
  } = options;
  const handles = modelHandles(op, models, base);
  const keys = stream === null ? [] : models.flatMap((_, i) => keyOf(stream.stream(`source-${i}`)));
  const handle = native().mergeTaskVectors(
    float(op, base),
    handles,
    perModel(op, 'weights', models, weights),
    code,
    perModel(op, 'densities', models, density),
    perModel(op, 'settings', models, extra),
    RESCALE_CODES[rescale],
    keys,
    consensus,
    normalize,
    lambda,
  );
  return merged(handle, base);
}

function keyOf(stream: Philox): [low: number, high: number] {
  const { keyLow, keyHigh } = stream.reserve(0);
  return [keyLow, keyHigh];
}

/**
 * `base + λ Σ wᵢ(xᵢ − base)`. One pass.
 * @see Ilharco et al. 2022, arXiv:2212.04089; mergekit `task_arithmetic`
 */
export function taskArithmetic(base: Tensor, models: readonly Tensor[], options: TaskVectorOptions): Tensor {
  const method: Method = {
    op: 'merge.taskArithmetic',
    code: MERGE_METHODS.ALL,
    consensus: false,
    normalize: false,
    rescale: 'none',
  };
  return mix(method, base, models, options);
}

/**
 * Trim each task vector to its ⌊density·n⌋ largest entries (of equal ones those with the lower index), elect the sign
 * of the weighted sum in each entry (+ for 0), average what has it. Two passes; up to four when many entries are equal.
 * @throws ArgumentError INVALID_ARGUMENT: a density outside (0, 1]
 * @see Yadav et al. 2023, arXiv:2306.01708; mergekit `ties`
 */
export function ties(base: Tensor, models: readonly Tensor[], options: SparseOptions): Tensor {
  const method: Method = {
    op: 'merge.ties',
    code: MERGE_METHODS.MAGNITUDE,
    consensus: true,
    normalize: true,
    rescale: 'none',
  };
  return mix(method, base, models, options);
}

/**
 * Each entry of a task vector stays with probability `density`, and is rescaled; then the weighted sum. Two passes, one
 * when the rescaling needs no sums.
 * @see Yu et al. 2023, arXiv:2311.03099; mergekit `dare_linear`
 */
export function dareLinear(base: Tensor, models: readonly Tensor[], options: RandomOptions): Tensor {
  return mix({ ...DARE, op: 'merge.dareLinear', consensus: false }, base, models, options, 0, options.stream);
}

/** As {@link dareLinear}, with the elected signs of {@link ties}. @see mergekit `dare_ties` */
export function dareTies(base: Tensor, models: readonly Tensor[], options: RandomOptions): Tensor {
  return mix({ ...DARE, op: 'merge.dareTies', consensus: true }, base, models, options, 0, options.stream);
}

const DARE = { code: MERGE_METHODS.RANDOM, normalize: false, rescale: 'match_l1' } as const;

/**
 * Entries stay with probability density − ε for the smallest of a row to density + ε for the largest, linear in the
 * rank; rescaled; then elected signs and a weighted mean. A row is all but the first axis. Three passes.
 * @param options.epsilon  default 0.15; 0 < density ± ε < 1
 * @throws ArgumentError INVALID_ARGUMENT: density ± ε outside (0, 1)
 * @see Deep et al. 2024, arXiv:2406.11617; mergekit `della`
 */
export function della(
  base: Tensor,
  models: readonly Tensor[],
  options: RandomOptions & { readonly epsilon?: number | readonly number[] },
): Tensor {
  const method = { ...DELLA, op: 'merge.della', consensus: true, normalize: true };
  return mix(method, base, models, options, options.epsilon ?? 0.15, options.stream);
}

/** As {@link della}, without signs: the plain weighted sum. @see mergekit `della_linear` */
export function dellaLinear(
  base: Tensor,
  models: readonly Tensor[],
  options: RandomOptions & { readonly epsilon?: number | readonly number[] },
): Tensor {
  const method = { ...DELLA, op: 'merge.dellaLinear', consensus: false, normalize: false };
  return mix(method, base, models, options, options.epsilon ?? 0.15, options.stream);
}

const DELLA = { code: MERGE_METHODS.DELLA, rescale: 'match_l1' } as const;

/**
 * Drops the `gamma` largest and the smallest entries of each task vector so that `density` remains; then the weighted
 * sum. Three passes.
 * @param options.gamma  share of outliers, default 0.01
 * @see Davari & Belilovsky 2023, arXiv:2312.06795; mergekit `breadcrumbs`
 */
export function breadcrumbs(
  base: Tensor,
  models: readonly Tensor[],
  options: SparseOptions & { readonly gamma?: number | readonly number[] },
): Tensor {
  const method = { ...BREADCRUMBS, op: 'merge.breadcrumbs', consensus: false };
  return mix(method, base, models, options, options.gamma ?? 0.01);
}

/** As {@link breadcrumbs}, with the elected signs of {@link ties}. @see mergekit `breadcrumbs_ties` */
export function breadcrumbsTies(
  base: Tensor,
  models: readonly Tensor[],
  options: SparseOptions & { readonly gamma?: number | readonly number[] },
): Tensor {
  const method = { ...BREADCRUMBS, op: 'merge.breadcrumbsTies', consensus: true };
  return mix(method, base, models, options, options.gamma ?? 0.01);
}

const BREADCRUMBS = { code: MERGE_METHODS.BREADCRUMBS, normalize: false, rescale: 'none' } as const;
