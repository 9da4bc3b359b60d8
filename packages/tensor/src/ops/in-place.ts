import { native } from '../backend.js';
import { sameShape } from '../dtype.js';
import { assertWritable, type Tensor } from '../tensor.js';
import { float, refuseDtypes, refuseShapes } from './operand.js';

/**
 * dst := src, elements copied; equal dtype and shape. Never recorded.
 * @throws ShapeError, DtypeError INVALID_ARGUMENT; GraphError FAILED_PRECONDITION: a graph needs the old elements
 */
export function copyInto(dst: Tensor, src: Tensor): void {
  assertWritable('copyInto', dst);
  if (dst.dtype !== src.dtype) refuseDtypes('copyInto', 'dtypes must be equal', dst, src);
  if (!sameShape(dst.shape, src.shape)) refuseShapes('copyInto', 'shapes must be equal', dst, src);
  native().copy(dst.handle, src.use('copyInto'));
}

/**
 * dst[atRow .. atRow + T) := src for dst[S, ...] and src[T, ...] with equal rows. Never recorded.
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: rows differ in shape, or do not fit
 */
export function copyRows(dst: Tensor, src: Tensor, atRow: number): void {
  assertWritable('copyRows', dst);
  native().copyRows(dst.handle, src.use('copyRows'), atRow);
}

/**
 * y += alpha · x, f32, equal shapes. Never recorded.
 * @throws ShapeError INVALID_ARGUMENT; GraphError FAILED_PRECONDITION: a graph needs the old elements
 */
export function axpyInPlace(y: Tensor, alpha: number, x: Tensor): void {
  assertWritable('axpyInPlace', y);
  if (!sameShape(x.shape, y.shape)) refuseShapes('axpyInPlace', 'shapes must be equal', y, x);
  native().axpy(float('axpyInPlace', y, x), alpha, float('axpyInPlace', x, y));
}

/** x *= s, f32. Never recorded. @throws GraphError FAILED_PRECONDITION: a graph needs the old elements */
export function scaleInPlace(x: Tensor, s: number): void {
  assertWritable('scaleInPlace', x);
  native().scaleInPlace(float('scaleInPlace', x), s);
}
