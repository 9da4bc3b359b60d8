import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { sameShape } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';

/**
 * The first-order linear recurrence h[t] = a[t]·h[t−1] + b[t] along time, elementwise: what an associative scan
 * computes, and the momentum and decay of Titans' memory. Time is walked in order: a sequence in two parts, the second
 * from the last state of the first, gives the bytes of the whole.
 * @param a   f32 [B,T,C]
 * @param b   f32 [B,T,C]
 * @param h0  f32 [B,C], the state before; default zeros
 * @returns   f32 [B,T,C], every state
 * @throws ShapeError INVALID_ARGUMENT
 * @see Blelloch 1990; Behrouz et al. 2024, arXiv:2501.00663 section 3.2
 */
export function linearScan(a: Tensor, b: Tensor, h0: Tensor | null = null): Tensor {
  const [x, y] = [float('linearScan', a, b, h0), float('linearScan', b, a, h0)];
  const start = h0 && float('linearScan', h0, a, b);
  const [batch, , channels] = a.shape;
  const fits = a.shape.length === 3 && sameShape(a.shape, b.shape);
  if (!fits || (h0 !== null && !sameShape(h0.shape, [batch as number, channels as number]))) {
    refuseShapes('linearScan', 'must be [B,T,C] twice, then [B,C]', a, b, ...(h0 === null ? [] : [h0]));
  }
  const out = result(native().linearScan(x, y, start), a.shape);
  if (!needsGraph(a, b, h0)) return out;
  const inputs = h0 === null ? [a, b] : [a, b, h0];
  return record(out, inputs, [a, out, ...(h0 === null ? [] : [h0])], (node) => {
    const api = native();
    const gradients = api.linearScanBackward(
      node.gradient,
      a.handle,
      out.handle,
      h0 === null ? null : h0.handle,
    );
    gradients.forEach((gradient, i) => {
      const input = inputs[i];
      if (input?.requiresGrad === true) node.give(input, gradient);
      else api.free(gradient);
    });
  });
}
