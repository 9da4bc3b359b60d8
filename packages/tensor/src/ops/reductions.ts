import { DTYPES, type Handle } from '@agentforge/native';
import type { GraphNode } from '../autograd/graph.js';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { type Shape, sizeOf } from '../dtype.js';
import { Tensor } from '../tensor.js';
import { axisOf, float, result } from './operand.js';

const ALL = -1; // the native code for a reduction over every axis
const SCALAR: Shape = [1];

/** The native axis code: removing the only axis is a reduction over all, so that scalars are always [1]. */
function reducedAxis(op: string, x: Tensor, axis: number | undefined): number {
  if (axis === undefined || x.shape.length <= 1) {
    if (axis !== undefined) axisOf(op, x, axis);
    return ALL;
  }
  return axisOf(op, x, axis);
}

function withoutAxis(shape: Shape, axis: number): Shape {
  return axis === ALL ? SCALAR : [...shape.slice(0, axis), ...shape.slice(axis + 1)];
}

/** A new buffer of `shape` that repeats `reduced` along the axis that was reduced away. */
function expand(reduced: Handle, shape: Shape, axis: number): Handle {
  const api = native();
  if (axis === ALL) {
    const flat = api.expandScalar(reduced, 1, null, sizeOf(shape));
    const shaped = api.view(flat, 0, shape);
    api.free(flat);
    return shaped;
  }
  // A product with ones, which is exact; nothing of it is made on the host, so a step with it can be recorded.
  const [outer, count, inner] = [
    sizeOf(shape.slice(0, axis)),
    shape[axis] as number,
    sizeOf(shape.slice(axis + 1)),
  ];
  // Along the last axis one product does; otherwise one for each of what is before the axis.
  const isLast = inner === 1;
  const once = api.view(reduced, 0, isLast ? [outer, 1] : [outer, 1, inner]);
  const ones = api.full(DTYPES.f32, isLast ? [1, count] : [outer, count, 1], 1);
  const [left, right] = isLast ? [once, ones] : [ones, once];
  const product = api.matmul(left, right, false, false, null, 0);
  const expanded = api.view(product, 0, shape);
  for (const handle of [once, ones, product]) api.free(handle);
  return expanded;
}

/** Gives x the gradient of a sum, times `factor`. */
function spread(node: GraphNode, x: Tensor, axis: number, factor: number): void {
  const dx = expand(node.gradient, x.shape, axis);
  if (factor !== 1) native().scaleInPlace(dx, factor);
  node.give(x, dx);
}

/**
 * Sum over one axis, which is removed, or over all elements, giving [1].
 * @throws ArgumentError INVALID_ARGUMENT: no such axis
 */
export function sum(x: Tensor, axis?: number): Tensor {
  const code = reducedAxis('sum', x, axis);
  const out = result(native().sum(float('sum', x), code), withoutAxis(x.shape, code));
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => spread(node, x, code, 1));
}

/**
 * Mean over one axis, which is removed, or over all elements, giving [1]; NaN over nothing.
 * @throws ArgumentError INVALID_ARGUMENT: no such axis
 */
export function mean(x: Tensor, axis?: number): Tensor {
  const code = reducedAxis('mean', x, axis);
  const out = result(native().mean(float('mean', x), code), withoutAxis(x.shape, code));
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => spread(node, x, code, out.size / x.size));
}

/**
 * Maximum over one axis, which is removed, or over all elements, giving [1].
 * Equal maxima share the gradient evenly.
 * @throws ArgumentError INVALID_ARGUMENT: no such axis, or nothing to take the maximum of
 */
export function max(x: Tensor, axis?: number): Tensor {
  const code = reducedAxis('max', x, axis);
  const out = result(native().max(float('max', x), code), withoutAxis(x.shape, code));
  if (!needsGraph(x)) return out;
  return record(out, [x], [x, out], (node) => node.give(x, maxGradient(x, out, code, node.gradient)));
}

/** dx = dy / (number of maxima) where x is a maximum, else 0. */
function maxGradient(x: Tensor, y: Tensor, axis: number, dy: Handle): Handle {
  const api = native();
  const maxima = expand(y.handle, x.shape, axis);
  const below = api.sub(x.handle, maxima);
  const sign = api.sign(below); // 0 at the maxima, −1 elsewhere
  const mask = api.addScalar(sign, 1);
  const count = api.sum(mask, axis);
  const share = api.div(dy, count);
  const spreadShare = expand(share, x.shape, axis);
  const dx = api.mul(mask, spreadShare);
  for (const handle of [maxima, below, sign, mask, count, share, spreadShare]) api.free(handle);
  return dx;
}

/**
 * Index of the first maximum along the last axis, which is removed; i32, no gradient.
 * @throws ArgumentError INVALID_ARGUMENT: the last axis is empty
 */
export function argmax(x: Tensor): Tensor {
  const handle = native().argmax(float('argmax', x));
  if (x.shape.length > 1) return new Tensor(handle, 'i32', x.shape.slice(0, -1));
  const scalar = native().view(handle, 0, SCALAR);
  native().free(handle);
  return new Tensor(scalar, 'i32', SCALAR);
}

/**
 * Softmax over the last axis, f32, any leading axes.
 * @see agrees with the reference to 1e-6
 */
export function softmax(x: Tensor): Tensor {
  const out = result(native().softmax(float('softmax', x)), x.shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [out], (node) => node.give(x, native().softmaxBackward(out.handle, node.gradient)));
}

/** Whether no element of any of the f32 tensors is NaN or infinite. */
export function allFinite(tensors: readonly Tensor[]): boolean {
  return native().isFinite(tensors.map((x) => float('allFinite', x)));
}

/** The global L2 norm: √(Σ x²) over all elements of all tensors, accumulated in f64 in a fixed order. */
export function globalNorm(tensors: readonly Tensor[]): number {
  return Math.sqrt(native().sumSquares(tensors.map((x) => float('globalNorm', x))));
}
