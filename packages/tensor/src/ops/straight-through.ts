import { needsGraph, record } from '../autograd/record.js';
import { sameShape } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import { refuseShapes } from './operand.js';

/**
 * The elements of `value` with the gradient of `x`: what computed `value` from `x` counts as the identity when the
 * graph runs backwards. For functions whose own gradient is zero almost everywhere, such as rounding.
 * @param x      f32
 * @param value  f32, same shape, computed without a graph; it becomes the result
 * @throws ShapeError INVALID_ARGUMENT: shapes differ
 * @see Bengio, Léonard & Courville 2013, arXiv:1308.3432 (straight-through estimator)
 */
export function straightThrough(x: Tensor, value: Tensor): Tensor {
  if (!sameShape(x.shape, value.shape)) refuseShapes('straightThrough', 'shapes must be equal', x, value);
  x.use('straightThrough');
  value.use('straightThrough');
  if (!needsGraph(x)) return value;
  return record(value, [x], [], (node) => node.pass(x));
}
