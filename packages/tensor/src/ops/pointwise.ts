import type { Handle } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import type { Tensor } from '../tensor.js';
import { float, result } from './operand.js';

/** Names of native functions of one tensor. */
type Pointwise = 'neg' | 'exp' | 'log' | 'tanh' | 'sigmoid' | 'silu' | 'relu' | 'relu2' | 'sqrt' | 'abs';

/** An operation whose derivative is computed from its input. */
function fromInput(op: Pointwise, derivative: (x: Handle, dy: Handle) => Handle): (x: Tensor) => Tensor {
  return (x) => {
    const out = result(native()[op](float(op, x)), x.shape);
    if (!needsGraph(x)) return out;
    return record(out, [x], [x], (node) => node.give(x, derivative(x.handle, node.gradient)));
  };
}

/** An operation whose derivative is computed from its output. */
function fromOutput(op: Pointwise, derivative: (y: Handle, dy: Handle) => Handle): (x: Tensor) => Tensor {
  return (x) => {
    const out = result(native()[op](float(op, x)), x.shape);
    if (!needsGraph(x)) return out;
    return record(out, [x], [out], (node) => node.give(x, derivative(out.handle, node.gradient)));
  };
}

/** −x. */
export function neg(x: Tensor): Tensor {
  const out = result(native().neg(float('neg', x)), x.shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => node.give(x, native().neg(node.gradient)));
}

/** eˣ, f32, any shape. */
export const exp = fromOutput('exp', (y, dy) => native().mul(dy, y));

/** Natural logarithm; −∞ at 0, NaN below. */
export const log = fromInput('log', (x, dy) => native().div(dy, x));

/** Square root; NaN below 0. */
export const sqrt = fromOutput('sqrt', (y, dy) => {
  const dx = native().div(dy, y);
  native().scaleInPlace(dx, 0.5);
  return dx;
});

/** |x|; the derivative at 0 is 0. */
export const abs = fromInput('abs', (x, dy) => {
  const sign = native().sign(x);
  const dx = native().mul(dy, sign);
  native().free(sign);
  return dx;
});

/** Hyperbolic tangent. */
export const tanh = fromOutput('tanh', (y, dy) => native().tanhBackward(y, dy));

/** 1 / (1 + e⁻ˣ). */
export const sigmoid = fromOutput('sigmoid', (y, dy) => native().sigmoidBackward(y, dy));

/** x · sigmoid(x). */
export const silu = fromInput('silu', (x, dy) => native().siluBackward(x, dy));

/** max(x, 0); the derivative at 0 is 0. */
export const relu = fromInput('relu', (x, dy) => native().reluBackward(x, dy));

/** max(x, 0)², So et al. 2021, arXiv:2109.08668. */
export const relu2 = fromInput('relu2', (x, dy) => native().relu2Backward(x, dy));
