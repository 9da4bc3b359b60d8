import { native } from '../backend.js';
import { float } from '../ops/operand.js';
import type { Tensor } from '../tensor.js';
import { merged, modelHandles, perModel } from './models.js';

/**
 * `Σ wᵢxᵢ`, divided by `Σ wᵢ` when normalised (unless that is below 1e-8).
 * @param models   f32 tensors of one shape; not modified; those of weight 0 are not read
 * @param weights  one per model, any sign
 * @returns        a new tensor; sums in f64, one pass
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: shapes or counts differ
 * @see mergekit `linear`; Wortsman et al. 2022, arXiv:2203.05482
 */
export function linear(
  models: readonly Tensor[],
  weights: readonly number[],
  { normalize = true }: { readonly normalize?: boolean } = {},
): Tensor {
  const handles = modelHandles('merge.linear', models, null);
  const factors = perModel('merge.linear', 'weights', models, weights);
  return merged(native().mergeLinear(handles, factors, normalize), models[0] as Tensor);
}

/**
 * Spherical interpolation from `a` (t = 0) to `b` (t = 1), whole tensors as vectors. The angle is that of the
 * directions; what is mixed are the tensors themselves. Straight when |cos| > 0.9995. Two passes.
 * @throws ShapeError INVALID_ARGUMENT: shapes differ
 * @see Shoemake 1985; mergekit `slerp`
 */
export function slerp(a: Tensor, b: Tensor, t: number): Tensor {
  const [x, y] = modelHandles('merge.slerp', [a, b], null) as [number, number];
  return merged(native().mergeSlerp(x, y, t), a);
}

/**
 * Spherical interpolation by weight: t = w₂/(w₁ + w₂), ½ when |w₁ + w₂| < 1e-6. Straight only when the sine of the
 * angle is below 1e-8. With a base, task vectors are interpolated and added to it. Two passes.
 * @throws ShapeError INVALID_ARGUMENT: shapes differ
 * @see mergekit `nuslerp` with its default `nuslerp_flatten`
 */
export function nuslerp(
  [a, b]: readonly [Tensor, Tensor],
  [first, second]: readonly [number, number],
  { base = null }: { readonly base?: Tensor | null } = {},
): Tensor {
  const [x, y] = modelHandles('merge.nuslerp', [a, b], base) as [number, number];
  const t = Math.abs(first + second) < 1e-6 ? 0.5 : second / (first + second);
  return merged(native().mergeNuslerp(x, y, base && float('merge.nuslerp', base), t), a);
}

/**
 * Weighted mean of the models' directions, times the weighted mean of their norms; around a base if given. Two passes.
 * @throws ArgumentError INVALID_ARGUMENT: the directions of more than two models cancel
 * @see mergekit `multislerp`
 */
export function multislerp(
  models: readonly Tensor[],
  weights: readonly number[],
  { base = null, normalize = true }: { readonly base?: Tensor | null; readonly normalize?: boolean } = {},
): Tensor {
  const handles = modelHandles('merge.multislerp', models, base);
  const factors = perModel('merge.multislerp', 'weights', models, weights);
  const origin = base && float('merge.multislerp', base);
  return merged(native().mergeMultislerp(handles, factors, origin, normalize), models[0] as Tensor);
}

/**
 * The Riemannian (Karcher) mean of the models' directions on the sphere, times the weighted mean of their norms.
 * Iterates on inner products: two passes over the models for any number of iterations.
 * @param weights        one per model; default 1/N each
 * @param maxIterations  default 10
 * @param tolerance      angles, steps and norms below it count as 0; default 1e-5
 * @see mergekit `karcher`
 */
export function karcher(
  models: readonly Tensor[],
  {
    weights = models.map(() => 1 / models.length),
    maxIterations = 10,
    tolerance = 1e-5,
  }: {
    readonly weights?: readonly number[];
    readonly maxIterations?: number;
    readonly tolerance?: number;
  } = {},
): Tensor {
  const handles = modelHandles('merge.karcher', models, null);
  const alphas = perModel('merge.karcher', 'weights', models, weights);
  return merged(native().mergeKarcher(handles, alphas, maxIterations, tolerance), models[0] as Tensor);
}

/**
 * Between the base and the mean of models that were fine-tuned from it: t·mean + (1 − t)·base with
 * t = N cos θ / (1 + (N − 1) cos θ), cos θ the mean cosine between task vectors. Two passes.
 * @param models  at least two
 * @throws ArgumentError INVALID_ARGUMENT: fewer than two models, or no center at this angle
 * @see Jang et al. 2024, arXiv:2403.19522; mergekit `model_stock`, tensor by tensor
 */
export function modelStock(base: Tensor, models: readonly Tensor[]): Tensor {
  const handles = modelHandles('merge.modelStock', models, base, 2);
  return merged(native().mergeModelStock(float('merge.modelStock', base), handles), base);
}
