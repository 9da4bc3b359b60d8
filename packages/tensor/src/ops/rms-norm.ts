import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { ArgumentError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { float, lastAxis, refuseShapes, result } from './operand.js';

/**
 * Root-mean-square normalisation over the last axis: x / √(mean x² + eps) · gain.
 * @param x      f32 [..., C]; not modified
 * @param gain   f32 [C]
 * @param eps    > 0, dimensionless, default 1e-5
 * @returns      f32, shape of x, a new buffer
 * @throws ShapeError INVALID_ARGUMENT: last axis of x differs from gain
 * @see Zhang & Sennrich 2019, arXiv:1910.07467 eq. 4
 */
export function rmsNorm(x: Tensor, gain: Tensor, eps = 1e-5): Tensor {
  const input = float('rmsNorm', x, gain);
  const scale = float('rmsNorm', gain, x);
  if (gain.shape.length !== 1 || lastAxis(x.shape) !== gain.shape[0]) {
    refuseShapes('rmsNorm', 'the gain must be the last axis of x', x, gain);
  }
  if (!(eps > 0)) throw new ArgumentError(`rmsNorm: eps is ${eps}, must be > 0`);
  const [y, rstdHandle] = native().rmsNorm(input, scale, eps);
  const out = result(y, x.shape);
  if (!needsGraph(x, gain)) {
    native().free(rstdHandle);
    return out;
  }
  const rstd = result(rstdHandle, x.shape.slice(0, -1));
  rstd.isIntermediate = true;
  return record(out, [x, gain], [x, gain, rstd], (node) => {
    const dGain = gain.requiresGrad ? node.accumulator(gain) : null;
    const dx = native().rmsNormBackward(node.gradient, x.handle, gain.handle, rstd.handle, dGain);
    if (x.requiresGrad) node.give(x, dx);
    else native().free(dx);
  });
}
