import { DTYPES } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { sameShape } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import { float, integer, refuseShapes, result } from './operand.js';

/**
 * x with rows added: result[index[i]] = x[index[i]] + Σ rows[i], in order of i: the inverse of gatherRows().
 * @param x      f32 [N, ...]; not modified
 * @param index  i32 [M...]
 * @param rows   f32 [M..., ...]
 * @throws ShapeError INVALID_ARGUMENT: rows are not one row of x for each index
 * @throws ArgumentError INVALID_ARGUMENT: an index outside 0..N−1
 */
export function scatterAddRows(x: Tensor, index: Tensor, rows: Tensor): Tensor {
  const op = 'scatterAddRows';
  const [into, at, from] = [
    float(op, x, index, rows),
    integer(op, index, x, rows),
    float(op, rows, x, index),
  ];
  if (x.shape.length === 0 || !sameShape(rows.shape, [...index.shape, ...x.shape.slice(1)])) {
    refuseShapes(op, 'must be [N,...], [M...] and [M...,...]', x, index, rows);
  }
  const api = native();
  const out = result(api.alloc(DTYPES.f32, x.shape), x.shape);
  api.copy(out.handle, into);
  api.scatterAddRows(out.handle, at, from);
  if (!needsGraph(x, rows)) return out;
  return record(out, [x, rows], [index], (node) => {
    if (rows.requiresGrad) node.give(rows, native().gatherRows(node.gradient, index.handle));
    if (x.requiresGrad) node.pass(x);
  });
}
