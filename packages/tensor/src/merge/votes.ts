import { native } from '../backend.js';
import { ArgumentError } from '../errors.js';
import { float } from '../ops/operand.js';
import type { Tensor } from '../tensor.js';
import { merged, modelHandles } from './models.js';

/**
 * Select, calculate, erase: keeps the share `selectTopk` of the entries that vary between models, by variance;
 * weights models by the mean square of what they keep; erases entries against the sign of the sum; averages the rest.
 * Two passes, four with a selection.
 * @see Wan et al. 2024, arXiv:2408.07990; mergekit `sce`
 */
export function sce(
  base: Tensor,
  models: readonly Tensor[],
  { selectTopk = 1 }: { readonly selectTopk?: number } = {},
): Tensor {
  const handles = modelHandles('merge.sce', models, base);
  return merged(native().mergeSce(float('merge.sce', base), handles, selectTopk), base);
}

/**
 * Entries that one model alone moved by more than `epsilon` are added, those that several moved are averaged. One pass.
 * @see arXiv:2601.13572; mergekit `ram`
 */
export function ram(
  base: Tensor,
  models: readonly Tensor[],
  { epsilon = 1e-5 }: { readonly epsilon?: number } = {},
): Tensor {
  const handles = modelHandles('merge.ram', models, base);
  return merged(native().mergeRam(float('merge.ram', base), handles, epsilon, 0, 0), base);
}

/**
 * As {@link ram}; a model's lone entries are multiplied by 1 + r·min(ρ, alpha), ρ its shared entries per lone one.
 * Two passes.
 * @see arXiv:2601.13572; mergekit `ramplus_tl`
 */
export function ramPlus(
  base: Tensor,
  models: readonly Tensor[],
  {
    epsilon = 1e-5,
    r = 0.1,
    alpha = 0.2,
  }: { readonly epsilon?: number; readonly r?: number; readonly alpha?: number } = {},
): Tensor {
  const handles = modelHandles('merge.ramPlus', models, base);
  return merged(native().mergeRam(float('merge.ramPlus', base), handles, epsilon, r, alpha), base);
}

/**
 * From `a` towards `b` by the share t/|a − b| of the way, at most all of it: near entries are swapped, far ones hardly
 * move. One pass.
 * @see mergekit `nearswap`
 */
export function nearswap(a: Tensor, b: Tensor, t: number): Tensor {
  const [x, y] = modelHandles('merge.nearswap', [a, b], null) as [number, number];
  return merged(native().mergeNearswap(x, y, t), a);
}

/**
 * The entries of `model` that matter, over those of `base`: |x − base| times the KL divergence between the softmaxes
 * of the row (last axis), at least the median plus 1.5 interquartile ranges. Quantiles are exact, where mergekit
 * samples a million entries. Compute-bound: three transcendental functions an entry.
 * @see mergekit `arcee_fusion`
 */
export function arceeFusion(base: Tensor, model: Tensor): Tensor {
  const [x, y] = modelHandles('merge.arceeFusion', [base, model], null) as [number, number];
  return merged(native().mergeArceeFusion(x, y), base);
}

/** A copy, times `scale`: what stacking layers is made of. One pass. @see mergekit `passthrough` */
export function passthrough(model: Tensor, scale = 1): Tensor {
  if (Number.isNaN(scale)) throw new ArgumentError(`merge.passthrough: scale ${scale}`);
  return merged(native().mulScalar(float('merge.passthrough', model), scale), model);
}
