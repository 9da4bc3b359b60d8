import { DTYPES, type Handle } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { type Shape, sameShape } from '../dtype.js';
import { ArgumentError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';
import { neg } from './pointwise.js';

/** An operand of + − × ÷: a tensor, or one number for all elements. */
export type Operand = Tensor | number;

/** Whether `b` has a's shape, repeats over its leading axes, or is one element. */
function broadcastsTo(b: Tensor, a: Tensor): boolean {
  if (sameShape(a.shape, b.shape) || b.size === 1) return true;
  const offset = a.shape.length - b.shape.length;
  if (offset < 0) return false;
  for (let i = 0; i < b.shape.length; i++) if (a.shape[offset + i] !== b.shape[i]) return false;
  return true;
}

function checkBroadcast(op: string, a: Tensor, b: Tensor): void {
  if (!broadcastsTo(b, a)) {
    refuseShapes(op, 'shapes must be equal, or one the trailing axes of the other, or one element', a, b);
  }
}

/** Whether `b` has to be the first operand, because `a` is the one that repeats. */
function mustSwap(a: Tensor, b: Tensor): boolean {
  return !broadcastsTo(b, a) && broadcastsTo(a, b);
}

/** dy, which this call takes over, summed over the axes that `b` repeats on. */
function reduceTo(b: Tensor, dy: Handle, dyShape: Shape): Handle {
  if (sameShape(b.shape, dyShape)) return dy;
  const reduced = native().sumToShape(dy, b.shape);
  native().free(dy);
  return reduced;
}

/**
 * a + b, f32. Shapes are equal, or one is the trailing axes of the other, or one has one element.
 * @throws ShapeError INVALID_ARGUMENT: the shapes do not combine
 */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number') return addScalar(tensorOf('add', a), b);
  if (typeof a === 'number') return addScalar(b, a);
  if (mustSwap(a, b)) return add(b, a);
  const x = float('add', a, b);
  const y = float('add', b, a);
  checkBroadcast('add', a, b);
  const out = result(native().add(x, y), a.shape);
  if (!needsGraph(a, b)) return out;
  return record(out, [a, b], [], (node) => {
    const isSame = sameShape(a.shape, b.shape);
    if (b.requiresGrad) {
      if (isSame) node.pass(b, a.requiresGrad);
      else node.give(b, native().sumToShape(node.gradient, b.shape));
    }
    if (a.requiresGrad) node.pass(a, isSame && b.requiresGrad);
  });
}

/** a − b, f32; shapes as in add(). */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number') return addScalar(tensorOf('sub', a), -b);
  if (typeof a === 'number') return addScalar(neg(b), a);
  if (mustSwap(a, b)) return add(neg(b), a);
  const x = float('sub', a, b);
  const y = float('sub', b, a);
  checkBroadcast('sub', a, b);
  const out = result(native().sub(x, y), a.shape);
  if (!needsGraph(a, b)) return out;
  return record(out, [a, b], [], (node) => {
    if (b.requiresGrad) node.give(b, reduceTo(b, native().neg(node.gradient), a.shape));
    if (a.requiresGrad) node.pass(a);
  });
}

/** a · b by elements, f32; shapes as in add(). */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number') return mulScalar(tensorOf('mul', a), b);
  if (typeof a === 'number') return mulScalar(b, a);
  if (mustSwap(a, b)) return mul(b, a);
  const x = float('mul', a, b);
  const y = float('mul', b, a);
  checkBroadcast('mul', a, b);
  const out = result(native().mul(x, y), a.shape);
  if (!needsGraph(a, b)) return out;
  return record(out, [a, b], [a, b], (node) => {
    const dy = node.gradient;
    if (b.requiresGrad) node.give(b, reduceTo(b, native().mul(dy, a.handle), a.shape));
    if (a.requiresGrad) node.give(a, native().mul(dy, b.handle));
  });
}

/**
 * a ÷ b by elements, f32; `b` is the one that may repeat.
 * @throws ShapeError INVALID_ARGUMENT: the shapes do not combine, or a would have to repeat
 */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number') return mulScalar(tensorOf('div', a), 1 / b);
  if (typeof a === 'number') {
    float('div', b);
    return div(result(native().full(DTYPES.f32, b.shape, a), b.shape), b);
  }
  const x = float('div', a, b);
  const y = float('div', b, a);
  if (mustSwap(a, b)) refuseShapes('div', 'only the divisor may repeat', a, b);
  checkBroadcast('div', a, b);
  const out = result(native().div(x, y), a.shape);
  if (!needsGraph(a, b)) return out;
  return record(out, [a, b], b.requiresGrad ? [b, out] : [b], (node) => {
    const api = native();
    const dy = node.gradient;
    if (b.requiresGrad) {
      const product = api.mul(dy, out.handle); // d(a/b)/db = −(a/b)/b
      const quotient = api.div(product, b.handle);
      api.free(product);
      api.scaleInPlace(quotient, -1);
      node.give(b, reduceTo(b, quotient, a.shape));
    }
    if (a.requiresGrad) node.give(a, api.div(dy, b.handle));
  });
}

/** x + s for every element. */
export function addScalar(x: Tensor, s: number): Tensor {
  const out = result(native().addScalar(float('addScalar', x), s), x.shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => node.pass(x));
}

/** x · s for every element. */
export function mulScalar(x: Tensor, s: number): Tensor {
  const out = result(native().mulScalar(float('mulScalar', x), s), x.shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => {
    if (node.isShared) {
      node.give(x, native().mulScalar(node.gradient, s));
    } else {
      native().scaleInPlace(node.gradient, s);
      node.pass(x);
    }
  });
}

function tensorOf(op: string, a: Operand): Tensor {
  if (typeof a === 'number') throw new ArgumentError(`${op}: one operand must be a tensor, got two numbers`);
  return a;
}
