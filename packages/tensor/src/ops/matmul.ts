import { ACTIVATIONS, type Handle, type NativeAddon } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { supportsOp } from '../device.js';
import type { Shape } from '../dtype.js';
import { productPrecision } from '../precision.js';
import type { Tensor } from '../tensor.js';
import { add } from './arithmetic.js';
import { float, lastAxis, refuseShapes, result } from './operand.js';
import { relu, relu2, sigmoid, silu, tanh } from './pointwise.js';

/** Which operands of a product are read transposed (last two axes). */
export interface MatmulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** The dense product of the precision in force. */
function product(): NativeAddon['matmul'] {
  return productPrecision() === 'bf16' ? native().matmulBf16 : native().matmul;
}

/** Shape of op(a)·op(b), or undefined when they do not fit. */
function productShape(a: Shape, b: Shape, transA: boolean, transB: boolean): Shape | undefined {
  const rank = b.length;
  const [n, kb] = transB ? [b[rank - 2], b[rank - 1]] : [b[rank - 1], b[rank - 2]];
  if (n === undefined || kb === undefined || a.length < 2) return undefined;
  if (rank === 2 && a.length > 2) {
    return !transA && lastAxis(a) === kb ? [...a.slice(0, -1), n] : undefined;
  }
  if (rank !== a.length || rank > 3 || (rank === 3 && a[0] !== b[0])) return undefined;
  const [m, ka] = transA ? [a[rank - 1], a[rank - 2]] : [a[rank - 2], a[rank - 1]];
  if (ka !== kb || m === undefined) return undefined;
  return rank === 3 ? [a[0] as number, m, n] : [m, n];
}

/** Runs `use` on a tensor's elements seen as a matrix [rows, last axis]. */
function asMatrix<T>(handle: Handle, shape: Shape, use: (matrix: Handle) => T): T {
  if (shape.length <= 2) return use(handle);
  const columns = lastAxis(shape);
  const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const matrix = native().view(handle, 0, [rows, columns]);
  try {
    return use(matrix);
  } finally {
    native().free(matrix);
  }
}

/**
 * op(a)·op(b), f32 (see `autocast` for bf16 products): [M,K]×[K,N], batched [B,M,K]×[B,K,N], or a[...,K]×[K,N] -> [...,N].
 * Gradients are added into existing buffers without temporaries.
 * @throws ShapeError INVALID_ARGUMENT: the inner axes or the batch differ
 */
export function matmul(a: Tensor, b: Tensor, { transA = false, transB = false }: MatmulOptions = {}): Tensor {
  const x = float('matmul', a, b);
  const y = float('matmul', b, a);
  const shape = productShape(a.shape, b.shape, transA, transB);
  if (shape === undefined) {
    refuseShapes(`matmul(transA=${transA}, transB=${transB})`, 'inner axes and batch must agree', a, b);
  }
  const multiply = product();
  const out = result(multiply(x, y, transA, transB, null, 0), shape);
  if (!needsGraph(a, b)) return out;
  const isRows = a.shape.length > b.shape.length;
  return record(out, [a, b], [a, b], (node) => {
    const dy = node.gradient;
    if (b.requiresGrad) {
      node.giveInto(b, (into, beta) => {
        const ofMatrices = (am: Handle, dm: Handle): Handle =>
          transB
            ? multiply(dm, am, true, transA, into, beta) // dB = dYᵀ op(A)
            : multiply(am, dm, !transA, false, into, beta); // dB = op(A)ᵀ dY
        if (!isRows) return ofMatrices(a.handle, dy);
        return asMatrix(a.handle, a.shape, (am) => asMatrix(dy, shape, (dm) => ofMatrices(am, dm)));
      });
    }
    if (a.requiresGrad) {
      node.giveInto(
        a,
        (into, beta) =>
          transA
            ? multiply(b.handle, dy, transB, true, into, beta) // dA = op(B) dYᵀ
            : multiply(dy, b.handle, false, !transB, into, beta), // dA = dY op(B)ᵀ
      );
    }
  });
}

/** Functions that may follow a linear map. */
export type Activation = 'none' | 'relu' | 'relu2' | 'silu' | 'sigmoid' | 'tanh';

const FUNCTIONS: Record<Activation, (x: Tensor) => Tensor> = {
  none: (x) => x,
  relu,
  relu2,
  silu,
  sigmoid,
  tanh,
};

/**
 * f(x[..., I] · weightᵀ + bias), f32, with weight[O, I] as Hugging Face and PyTorch store it -> [..., O].
 * Without a graph, bias and f are one pass in place over the product; with one they are recorded one by one.
 * @param activation  f; default none
 * @throws ShapeError INVALID_ARGUMENT: the last axis of x differs from I, or bias from [O]
 */
export function linear(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  { activation = 'none' }: { readonly activation?: Activation } = {},
): Tensor {
  if (weight.shape.length !== 2 || lastAxis(x.shape) !== weight.shape[1]) {
    refuseShapes('linear', 'the last axis of x must be the last of weight[O,I]', x, weight);
  }
  if (bias !== null && (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0])) {
    refuseShapes('linear', 'the bias must be [O]', weight, bias);
  }
  const shift = bias && float('linear', bias, x, weight);
  const y = matmul(x, weight, TRANSPOSED);
  if (shift === null && activation === 'none') return y;
  if (needsGraph(x, weight, bias) || !supportsOp('biasActivationInPlace')) {
    return FUNCTIONS[activation](bias === null ? y : add(y, bias));
  }
  native().biasActivationInPlace(y.handle, shift, ACTIVATIONS[activation]);
  return y;
}

const TRANSPOSED: MatmulOptions = { transB: true };
