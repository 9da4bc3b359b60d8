import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { sameShape } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';

/**
 * silu(gate) · up by elements, in one pass; f32, equal shapes.
 * @throws ShapeError INVALID_ARGUMENT: the shapes differ
 * @see Shazeer 2020, arXiv:2002.05202 eq. 5
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  const [g, u] = [float('swiglu', gate, up), float('swiglu', up, gate)];
  if (!sameShape(gate.shape, up.shape)) refuseShapes('swiglu', 'shapes must be equal', gate, up);
  const out = result(native().swiglu(g, u), gate.shape);
  if (!needsGraph(gate, up)) return out;
  return record(out, [gate, up], [gate, up], (node) => {
    const [dGate, dUp] = native().swigluBackward(node.gradient, gate.handle, up.handle);
    if (gate.requiresGrad) node.give(gate, dGate);
    else native().free(dGate);
    if (up.requiresGrad) node.give(up, dUp);
    else native().free(dUp);
  });
}
