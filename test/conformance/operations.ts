import {
  abs,
  add,
  addScalar,
  argmax,
  concat,
  crossEntropy,
  div,
  embedding,
  exp,
  gatherRows,
  linear,
  log,
  max,
  mean,
  mul,
  mulScalar,
  neg,
  permute,
  relu,
  relu2,
  reshape,
  rmsNorm,
  rope,
  sigmoid,
  silu,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  swiglu,
  type Tensor,
  tanh,
  transpose,
} from '@agentforge/tensor';
import { MERGES } from './merge-operations.js';
import {
  BATCHES,
  heads,
  inBf16,
  LONG,
  MATRICES,
  ONE,
  type Operation,
  pairwise,
  pointwise,
  product,
  ROWS,
  reduction,
  type Shapes,
  sizes,
} from './operation.js';
import { QUANTIZE_OPERATIONS } from './quantize-operations.js';
import { rope as ropeReference } from './reference/attention.js';
import { at, build, type Dense } from './reference/dense.js';
import * as elementwise from './reference/elementwise.js';
import * as layout from './reference/layout.js';
import { matmul as matmulReference } from './reference/matmul.js';
import * as reductions from './reference/reductions.js';
import { SEQUENCES } from './sequence-operations.js';

const spaced = { isSpaced: true };
/** What the angles of x[..., D] are divided by: pairs turn at full speed first, at an eighth of it last. */
const factorsFor = ({ shape }: { readonly shape: readonly number[] }): number[] =>
  Array.from({ length: (shape.at(-1) ?? 0) / 2 }, (_, pair) => Math.min(8, 1 + pair));

const HEADS: Shapes = {
  regular: [[2, 3, 2, 8]],
  odd: [[1, 5, 3, 6]],
  empty: [[1, 0, 2, 4]],
  big: [[2, 65, 4, 64]],
};

/** Dense products: what autocast() computes in bf16. */
const PRODUCTS: readonly Operation[] = [
  ...[false, true].flatMap((transA) =>
    [false, true].flatMap((transB) => [
      product(transA, transB, 'matrices', MATRICES),
      product(transA, transB, 'batches', BATCHES),
      ...Object.entries(LONG).map(([variant, shapes]) => product(transA, transB, variant, shapes)),
    ]),
  ),
  product(false, false, 'rows', ROWS),
  product(false, true, 'rows', ROWS),
  {
    op: 'linear',
    sizes: sizes({
      regular: [[2, 4, 8], [16, 8], [16]],
      odd: [[3, 5], [7, 5], [7]],
      empty: [[0, 5], [7, 5], [7]],
      big: [[150, 300], [129, 300], [129]],
    }),
    run: (x, weight, bias) => linear(x, weight, bias),
    reference: (x, w, b) => elementwise.zip(matmulReference(x, w, false, true), b, (p, q) => p + q),
    gradients: [0, 1, 2],
  },
];

/** Every op of the public face that computes, at every size. */
export const OPERATIONS: readonly Operation[] = [
  ...pairwise('add', add, (a, b) => a + b),
  ...pairwise('sub', sub, (a, b) => a - b),
  ...pairwise('mul', mul, (a, b) => a * b),
  ...pairwise('div', div, (a, b) => a / b),
  pointwise(
    'addScalar',
    (x) => addScalar(x, 1.5),
    (x) => x + 1.5,
  ),
  pointwise(
    'mulScalar',
    (x) => mulScalar(x, -2.5),
    (x) => x * -2.5,
  ),
  pointwise(
    'sub',
    (x) => sub(1, x),
    (x) => 1 - x,
  ),
  pointwise(
    'div',
    (x) => div(1, x),
    (x) => 1 / x,
    { low: 0.5, high: 3 },
  ),
  pointwise('neg', neg, (x) => -x),
  pointwise('abs', abs, Math.abs, spaced),
  pointwise('exp', exp, Math.exp),
  pointwise('log', log, Math.log, { low: 0.5, high: 4 }),
  pointwise('sqrt', sqrt, Math.sqrt, { low: 0.5, high: 4 }),
  pointwise('tanh', tanh, Math.tanh),
  pointwise('sigmoid', sigmoid, elementwise.sigmoid, { low: -8, high: 8 }),
  pointwise('silu', silu, elementwise.silu, { low: -8, high: 8 }),
  pointwise('relu', relu, (x) => Math.max(x, 0), spaced),
  pointwise('relu2', relu2, (x) => Math.max(x, 0) ** 2, spaced),
  ...reduction('sum', sum, reductions.sumOf),
  ...reduction('mean', mean, reductions.meanOf),
  ...reduction('max', max, reductions.maxOf, spaced),
  {
    op: 'argmax',
    sizes: sizes({ regular: [[4, 8]], odd: [[3, 5, 7]], empty: [[0, 7]], big: [[65, 1025]] }, spaced),
    run: argmax,
    reference: (x) => reductions.reduce(x, x.shape.length - 1, reductions.argmaxOf),
    gradients: [],
  },
  {
    op: 'softmax',
    sizes: sizes(ONE, { low: -10, high: 10 }),
    run: softmax,
    reference: reductions.softmax,
    gradients: [0],
  },
  ...(['mean', 'sum', 'none'] as const).map(
    (how): Operation => ({
      op: 'crossEntropy',
      variant: how,
      sizes: sizes(
        {
          regular: [[4, 16], [4]],
          odd: [[7, 13], [7]],
          big: [[130, 1025], [130]],
          ...(how === 'mean' ? {} : { empty: [[0, 13], [0]] }),
        },
        { low: -6, high: 6 },
        { below: 13 },
      ),
      run: (...x) => crossEntropy(x[0] as Tensor, x[1] as Tensor, { ignoreIndex: 3, reduction: how }),
      reference: (...x) => reductions.crossEntropy(x[0] as Dense, x[1] as Dense, 3, how),
      gradients: [0],
    }),
  ),
  {
    op: 'rmsNorm',
    sizes: sizes({
      regular: [[4, 16], [16]],
      odd: [[3, 5, 7], [7]],
      empty: [[0, 5], [5]],
      big: [[65, 1025], [1025]],
    }),
    run: (x, gain) => rmsNorm(x, gain, 1e-5),
    reference: (x, gain) => reductions.rmsNorm(x, gain, 1e-5),
    gradients: [0, 1],
  },
  ...(['neox', 'norm'] as const).map(
    (pairing): Operation => ({
      op: 'rope',
      variant: pairing,
      sizes: sizes(HEADS),
      run: (x) => rope(x as Tensor, { position0: 3, theta: 10000, pairing }),
      reference: (x) => ropeReference(x as Dense, 3, 10000, pairing),
      gradients: [0],
    }),
  ),
  {
    op: 'rope',
    variant: 'scaled',
    sizes: sizes(HEADS),
    run: (x) => rope(x as Tensor, { position0: 3, factors: factorsFor(x as Tensor) }),
    reference: (x) => ropeReference(x as Dense, 3, 10000, 'neox', factorsFor(x as Dense)),
    gradients: [0],
  },
  heads(
    'causal',
    1,
    { regular: [1, 4, 4, 2, 8], odd: [2, 5, 5, 3, 6], empty: [0, 4, 4, 2, 8], big: [1, 130, 130, 2, 64] },
    { causal: true, window: 0 },
  ),
  heads(
    'grouped',
    2,
    { regular: [1, 4, 4, 4, 8], odd: [2, 3, 3, 6, 6], empty: [1, 0, 4, 4, 8], big: [2, 65, 65, 4, 32] },
    { causal: true, window: 0 },
  ),
  heads(
    'window',
    1,
    { regular: [1, 8, 8, 2, 4], odd: [1, 7, 7, 1, 6], empty: [1, 3, 0, 2, 4], big: [1, 130, 130, 2, 16] },
    { causal: true, window: 3 },
  ),
  heads(
    'all keys',
    1,
    { regular: [1, 4, 4, 2, 8], odd: [1, 3, 7, 1, 6], empty: [1, 3, 0, 2, 8], big: [1, 70, 100, 2, 16] },
    { causal: false, window: 0 },
  ),
  heads(
    'longer keys',
    2,
    { regular: [1, 2, 6, 2, 8], odd: [2, 1, 5, 2, 6], big: [1, 3, 200, 4, 64] },
    { causal: true, window: 0 },
  ),
  heads(
    'part of a cache',
    2,
    { regular: [1, 1, 8, 2, 8], odd: [2, 2, 9, 2, 6], big: [1, 1, 256, 4, 64] },
    { causal: true, window: 0, kvLength: 7 },
  ),
  {
    op: 'swiglu',
    sizes: sizes(
      {
        regular: [
          [4, 16],
          [4, 16],
        ],
        odd: [
          [3, 7],
          [3, 7],
        ],
        empty: [
          [0, 3],
          [0, 3],
        ],
        big: [
          [130, 513],
          [130, 513],
        ],
      },
      { low: -6, high: 6 },
    ),
    run: swiglu,
    reference: elementwise.swiglu,
    gradients: [0, 1],
  },
  ...PRODUCTS,
  ...PRODUCTS.flatMap((operation) => inBf16(operation, [0, 1])),
  {
    op: 'embedding',
    sizes: sizes(
      {
        regular: [[8, 16], [4]],
        odd: [
          [7, 5],
          [2, 3],
        ],
        empty: [[7, 5], [0]],
        big: [
          [300, 129],
          [5, 100],
        ],
      },
      {},
      { below: 7 },
    ),
    run: embedding,
    reference: layout.gatherRows,
    gradients: [0],
  },
  {
    op: 'gatherRows',
    sizes: sizes(
      {
        regular: [[8, 2, 4], [4]],
        odd: [
          [7, 5],
          [2, 3],
        ],
        empty: [[7, 5], [0]],
        big: [[300, 129], [500]],
      },
      {},
      { below: 7 },
    ),
    run: gatherRows,
    reference: layout.gatherRows,
    gradients: [0],
  },
  {
    op: 'reshape',
    sizes: sizes({ regular: [[4, 8]], odd: [[3, 2, 7]], empty: [[0, 6]], big: [[300, 514]] }),
    run: (x) => reshape(x, [2, x.size / 2]),
    reference: (x) => build([2, x.data.length / 2], (i) => at(x, i)),
    gradients: [0],
  },
  ...[0, 1].map(
    (axis): Operation => ({
      op: 'slice',
      variant: `axis ${axis}`,
      sizes: sizes({ regular: [[4, 8]], odd: [[5, 3, 7]], empty: [[4, 4, 0]], big: [[300, 4, 129]] }),
      run: (x) => slice(x as Tensor, axis, 1, 3),
      reference: (x) => layout.slice(x as Dense, axis, 1, 3),
      gradients: [0],
    }),
  ),
  ...[0, 1].map(
    (axis): Operation => ({
      op: 'concat',
      variant: `axis ${axis}`,
      sizes: sizes({
        regular: [
          [4, 8],
          [4, 8],
        ],
        odd: [
          [3, 3, 5],
          [3, 3, 5],
        ],
        empty: [
          [0, 3],
          [0, 3],
        ],
        big: [
          [130, 513],
          [130, 513],
        ],
      }),
      run: (...x) => concat(x, axis),
      reference: (...x) => layout.concat(x[0] as Dense, x[1] as Dense, axis),
      gradients: [0, 1],
    }),
  ),
  ...[
    [0, 2, 1],
    [2, 0, 1],
    [1, 0, 2],
  ].map(
    (axes): Operation => ({
      op: 'permute',
      variant: `axes ${axes}`,
      sizes: sizes({ regular: [[4, 8, 2]], odd: [[3, 5, 7]], empty: [[3, 0, 2]], big: [[33, 65, 17]] }),
      run: (x) => permute(x as Tensor, axes),
      reference: (x) => layout.permute(x as Dense, axes),
      gradients: [0],
    }),
  ),
  {
    op: 'transpose',
    sizes: sizes({ regular: [[4, 8]], odd: [[3, 7]], empty: [[0, 4]], big: [[130, 513]] }),
    run: transpose,
    reference: (x) => layout.permute(x, [1, 0]),
    gradients: [0],
  },
  {
    op: 'slice',
    variant: 'i32',
    dtype: 'i32',
    sizes: sizes({ odd: [[5, 3, 7]] }, { below: 9 }),
    run: (x) => slice(x, 1, 1, 3),
    reference: (x) => layout.slice(x, 1, 1, 3),
    gradients: [],
  },
  {
    op: 'concat',
    variant: 'i32',
    dtype: 'i32',
    sizes: sizes(
      {
        odd: [
          [3, 5],
          [3, 5],
        ],
      },
      { below: 9 },
      { below: 9 },
    ),
    run: (...x) => concat(x, 1),
    reference: (a, b) => layout.concat(a, b, 1),
    gradients: [],
  },
  {
    op: 'permute',
    variant: 'i32',
    dtype: 'i32',
    sizes: sizes({ odd: [[3, 5, 7]] }, { below: 9 }),
    run: (x) => permute(x, [2, 0, 1]),
    reference: (x) => layout.permute(x, [2, 0, 1]),
    gradients: [],
  },
  {
    op: 'gatherRows',
    variant: 'i32',
    dtype: 'i32',
    sizes: sizes(
      {
        odd: [
          [7, 5],
          [2, 3],
        ],
      },
      { below: 9 },
      { below: 7 },
    ),
    run: gatherRows,
    reference: layout.gatherRows,
    gradients: [],
  },
  ...MERGES,
  ...SEQUENCES,
  ...QUANTIZE_OPERATIONS,
];
