import { DTYPES, type Handle } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { formatShape, type Shape, sizeOf } from '../dtype.js';
import { ArgumentError, ShapeError } from '../errors.js';
import { Tensor } from '../tensor.js';
import { axisOf, float, integer, refuseDtypes, refuseShapes, result } from './operand.js';

/** A tensor on the same elements as x. */
function alias(x: Tensor, offset: number, shape: Shape): Tensor {
  x.isAliased = true;
  const view = new Tensor(native().view(x.handle, offset, shape), x.dtype, shape);
  view.isAliased = true;
  return view;
}

/** `shape` with its −1 replaced by what the number of elements leaves. */
function completeShape(x: Tensor, shape: Shape): Shape {
  const open = shape.indexOf(-1);
  const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
  const complete = open === -1 ? shape : shape.map((n, i) => (i === open ? x.size / known : n));
  if (!complete.every((n) => Number.isInteger(n) && n >= 0) || sizeOf(complete) !== x.size) {
    throw new ShapeError(
      `reshape: ${formatShape(x.shape)} has ${x.size} elements, they do not fill ${formatShape(shape)}`,
    );
  }
  return complete;
}

/**
 * The same elements under another shape; shares memory with x. One axis may be −1.
 * @throws ShapeError INVALID_ARGUMENT: the number of elements differs
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  x.use('reshape');
  const out = alias(x, 0, completeShape(x, shape));
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => node.pass(x));
}

/** The same elements without their history: no gradient flows through. Shares memory with x. */
export function detach(x: Tensor): Tensor {
  x.use('detach');
  return alias(x, 0, x.shape);
}

/**
 * Rows start ≤ i < end of the leading axis, sharing memory with x; never recorded.
 * @throws ArgumentError INVALID_ARGUMENT: rows outside x
 */
export function viewRows(x: Tensor, start: number, end: number): Tensor {
  x.use('viewRows');
  const rows = x.shape[0] ?? 0;
  if (!(start >= 0 && start <= end && end <= rows)) {
    throw new ArgumentError(`viewRows: rows ${start}..${end} of ${formatShape(x.shape)}`);
  }
  const rowSize = sizeOf(x.shape.slice(1));
  return alias(x, start * rowSize, [end - start, ...x.shape.slice(1)]);
}

function zeroBlock(shape: Shape, axis: number, length: number): Handle {
  return native().full(
    DTYPES.f32,
    shape.map((n, i) => (i === axis ? length : n)),
    0,
  );
}

/**
 * Elements start ≤ i < end along one axis, copied; f32 or i32.
 * @throws ArgumentError INVALID_ARGUMENT: no such axis, or bounds outside it
 */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const handle = x.use('slice');
  const along = axisOf('slice', x, axis);
  const length = x.shape[along] as number;
  if (!(start >= 0 && start <= end && end <= length)) {
    throw new ArgumentError(`slice: ${start}..${end} along axis ${axis} of ${formatShape(x.shape)}`);
  }
  const shape = x.shape.map((n, i) => (i === along ? end - start : n));
  const out = new Tensor(native().slice(handle, along, start, end), x.dtype, shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => {
    const before = zeroBlock(x.shape, along, start);
    const after = zeroBlock(x.shape, along, length - end);
    node.give(x, native().concat([before, node.gradient, after], along));
    native().free(before);
    native().free(after);
  });
}

/**
 * Joins tensors along one axis; they agree on dtype and all other axes.
 * @throws ShapeError, DtypeError INVALID_ARGUMENT: another axis, or the dtype, differs
 * @throws ArgumentError INVALID_ARGUMENT: no tensors, or no such axis
 */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  const first = xs[0];
  if (first === undefined) throw new ArgumentError('concat: needs at least one tensor');
  const along = axisOf('concat', first, axis);
  for (const x of xs) {
    if (x.dtype !== first.dtype) refuseDtypes('concat', 'dtypes must be equal', first, x);
    const isAsLong = x.shape.length === first.shape.length;
    if (!isAsLong || x.shape.some((n, i) => i !== along && n !== first.shape[i])) {
      refuseShapes('concat', `all axes but ${along} must agree`, first, x);
    }
  }
  const total = xs.reduce((sum, x) => sum + (x.shape[along] as number), 0);
  const handle = native().concat(
    xs.map((x) => x.use('concat')),
    along,
  );
  const out = new Tensor(
    handle,
    first.dtype,
    first.shape.map((n, i) => (i === along ? total : n)),
  );
  if (!xs.some((x) => needsGraph(x))) return out;
  return record(out, xs, [], (node) => {
    let start = 0;
    for (const x of xs) {
      const end = start + (x.shape[along] as number);
      if (x.requiresGrad) node.give(x, native().slice(node.gradient, along, start, end));
      start = end;
    }
  });
}

/**
 * Reorders axes, copying: axis i of the result is axis axes[i] of x.
 * @throws ArgumentError INVALID_ARGUMENT: axes is not a permutation
 */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  const handle = x.use('permute');
  const inverse = axes.map((_, i) => axes.indexOf(i));
  if (axes.length !== x.shape.length || inverse.includes(-1)) {
    throw new ArgumentError(
      `permute: ${formatShape(axes)} does not permute the axes of ${formatShape(x.shape)}`,
    );
  }
  const shape = axes.map((axis) => x.shape[axis] as number);
  const out = new Tensor(native().permute(handle, axes), x.dtype, shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => node.give(x, native().permute(node.gradient, inverse)));
}

/** Swaps the last two axes, copying. */
export function transpose(x: Tensor): Tensor {
  const rank = x.shape.length;
  if (rank < 2) refuseShapes('transpose', 'needs at least two axes', x);
  const axes = Array.from({ length: rank }, (_, i) => i);
  axes[rank - 1] = rank - 2;
  axes[rank - 2] = rank - 1;
  return permute(x, axes);
}

/**
 * Rows of x[N, ...] by index i32[M...] -> [M..., ...].
 * @throws ArgumentError INVALID_ARGUMENT: an index outside 0..N−1
 */
export function gatherRows(x: Tensor, index: Tensor): Tensor {
  const handle = x.use('gatherRows');
  const rows = native().gatherRows(handle, integer('gatherRows', index, x));
  const out = new Tensor(rows, x.dtype, [...index.shape, ...x.shape.slice(1)]);
  if (!needsGraph(x)) return out;
  return record(out, [x], [index], (node) => {
    native().scatterAddRows(node.accumulator(x), index.handle, node.gradient);
  });
}

/**
 * Rows of table[V, C] by token id i32[...] -> [..., C]; gradients of repeated ids add up in order.
 * @throws ArgumentError INVALID_ARGUMENT: an id outside 0..V−1
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  const handle = float('embedding', table, ids);
  if (table.shape.length !== 2) refuseShapes('embedding', 'the table must be [V,C]', table, ids);
  const rows = native().embedding(handle, integer('embedding', ids, table));
  const out = result(rows, [...ids.shape, table.shape[1] as number]);
  if (!needsGraph(table)) return out;
  return record(out, [table], [ids], (node) => {
    native().embeddingBackward(node.gradient, ids.handle, node.accumulator(table));
  });
}
