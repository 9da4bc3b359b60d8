import { native } from '../backend.js';
import { float, result } from '../ops/operand.js';
import { straightThrough } from '../ops/straight-through.js';
import { Tensor } from '../tensor.js';

/** Integer codes and what they stand for: value = code · step. */
export interface Quantized {
  /** i8, shape of the input. */
  readonly codes: Tensor;
  /** f32: [1] for a whole tensor, the leading axes for one step per row. */
  readonly step: Tensor;
}

/**
 * BitNet b1.58 weights: codes −1, 0, 1 = round(w / m) clipped, with m = max(mean |w|, 1e-5) over the whole tensor.
 * @param w  f32, any shape
 * @throws ArgumentError INVALID_ARGUMENT: an element is NaN or infinite
 * @see Ma et al. 2024, arXiv:2402.17764 eq. 1–3
 */
export function absmeanQuantize(w: Tensor): Quantized {
  const [codes, step] = native().absmeanQuantize(float('absmeanQuantize', w));
  return { codes: new Tensor(codes, 'i8', w.shape), step: result(step, [1]) };
}

/**
 * BitNet b1.58 activations: each row of x [..., C] as int8, round(x · s) with s = 127 / max(max |x|, 1e-5), ties to even.
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: no last axis; an element is NaN or infinite
 */
export function absmaxQuantize(x: Tensor): Quantized {
  const [codes, steps] = native().absmaxQuantize(float('absmaxQuantize', x));
  const rows = x.shape.slice(0, -1);
  if (rows.length > 0) return { codes: new Tensor(codes, 'i8', x.shape), step: result(steps, rows) };
  const step = native().view(steps, 0, [1]);
  native().free(steps);
  return { codes: new Tensor(codes, 'i8', x.shape), step: result(step, [1]) };
}

/**
 * The values that absmeanQuantize would give, for training: f32, gradients pass straight through to w. NaN stays NaN.
 * @see Ma et al. 2024; agrees with PyTorch bit for bit but for the order of the sum in the mean
 */
export function absmeanFakeQuantize(w: Tensor): Tensor {
  return straightThrough(w, result(native().absmeanFakeQuantize(float('absmeanFakeQuantize', w)), w.shape));
}

/**
 * The values that absmaxQuantize would give, for training: f32, gradients pass straight through to x. NaN stays NaN.
 * @throws ShapeError INVALID_ARGUMENT: no last axis
 * @see Ma et al. 2024; agrees with PyTorch bit for bit, but for the sign of zeros
 */
export function absmaxFakeQuantize(x: Tensor): Tensor {
  return straightThrough(x, result(native().absmaxFakeQuantize(float('absmaxFakeQuantize', x)), x.shape));
}
