import { attention, autocast, matmul, type Tensor } from '@agentforge/tensor';
import { attention as attentionReference, type Mask } from './reference/attention.js';
import type { Dense } from './reference/dense.js';
import * as elementwise from './reference/elementwise.js';
import { matmul as matmulReference, toBf16 } from './reference/matmul.js';
import * as reductions from './reference/reductions.js';

/** How an operand of a row is filled. */
export interface Operand {
  readonly shape: readonly number[];
  /** Uniform in low..high; default −2..2. */
  readonly low?: number;
  readonly high?: number;
  /** i32 ids in 0..below−1 instead. */
  readonly below?: number;
  /** Shuffled odd multiples of 0.05: no two closer than 0.1, none closer to 0 than 0.05 (for kinks). */
  readonly isSpaced?: boolean;
  /** Multiples of this number only. */
  readonly grid?: number;
}

/**
 * The sizes that every op is tried at; `empty` only where a shape with a zero is legal. `big` is above what the native core
 * gives to one piece of a job (`grain`, `piece` and `span` in native/src/cpu), so that the seams between pieces are seen.
 */
export type SizeName = 'regular' | 'odd' | 'empty' | 'big';

/** One op: ours, the reference, its operands at each size. */
export interface Operation {
  /** Key of TOLERANCES. */
  readonly op: string;
  /** What distinguishes rows of the same op. */
  readonly variant?: string;
  /** What it computes in; default f32. */
  readonly dtype?: 'i32' | 'bf16';
  readonly sizes: Partial<Record<SizeName, readonly Operand[]>>;
  readonly run: (...x: Tensor[]) => Tensor;
  readonly reference: (...x: Dense[]) => Dense;
  /** Numbers of the operands that gradients go to; none for an op without gradient. */
  readonly gradients: readonly number[];
  /** Step of the finite differences; default that of gradCheck. */
  readonly step?: number;
}

/** Operands of one op at each size. */
export type Sizes = Operation['sizes'];
/** Shapes of the operands at each size. */
export type Shapes = Partial<Record<SizeName, readonly (readonly number[])[]>>;

/** The same filling for the operands of every size. */
export function sizes(shapes: Shapes, ...fillings: readonly Omit<Operand, 'shape'>[]): Sizes {
  const entries = Object.entries(shapes).map(([size, list]) => [
    size,
    list.map((shape, i) => ({ shape, ...fillings[i] })),
  ]);
  return Object.fromEntries(entries);
}

/** Sizes of an op of one tensor. */
export const ONE: Shapes = { regular: [[4, 16]], odd: [[3, 7, 5]], empty: [[0, 5]], big: [[130, 257]] };

/** An op that treats every element alike. */
export function pointwise(
  op: string,
  run: (x: Tensor) => Tensor,
  f: (x: number) => number,
  filling: Omit<Operand, 'shape'> = {},
): Operation {
  return { op, sizes: sizes(ONE, filling), run, reference: (x) => elementwise.map(x, f), gradients: [0] };
}

/** An op of two tensors, for each way the second may repeat. */
export function pairwise(
  op: string,
  run: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => number,
): Operation[] {
  const away = { low: 0.5, high: 2 };
  const row = (variant: string, shapes: Shapes): Operation => ({
    op,
    variant,
    sizes: sizes(shapes, {}, away),
    run: (...x) => run(x[0] as Tensor, x[1] as Tensor),
    reference: (...x) => elementwise.zip(x[0] as Dense, x[1] as Dense, f),
    gradients: [0, 1],
  });
  return [
    row('same shape', {
      regular: [
        [4, 16],
        [4, 16],
      ],
      odd: [
        [3, 5, 7],
        [3, 5, 7],
      ],
      empty: [
        [0, 3],
        [0, 3],
      ],
      big: [
        [130, 257],
        [130, 257],
      ],
    }),
    row('trailing axes', {
      regular: [[4, 16], [16]],
      odd: [
        [3, 5, 7],
        [5, 7],
      ],
      empty: [[0, 3], [3]],
      big: [[130, 257], [257]],
    }),
    row('one element', {
      regular: [[4, 16], [1]],
      odd: [[3, 5, 7], [1]],
      empty: [[0, 3], [1]],
      big: [[130, 257], [1]],
    }),
  ];
}

/** A reduction over all, the first and the second axis. */
export function reduction(
  op: string,
  run: (x: Tensor, axis?: number) => Tensor,
  fold: (values: number[]) => number,
  filling: Omit<Operand, 'shape'> = {},
): Operation[] {
  const shapes: Shapes = { regular: [[4, 8]], odd: [[3, 5, 7]], big: [[33, 65, 129]] };
  return [undefined, 0, 1].map((axis) => ({
    op,
    variant: axis === undefined ? 'all' : `axis ${axis}`,
    sizes: sizes(axis === undefined ? shapes : { ...shapes, empty: [[3, 2, 0]] }, filling),
    run: (x) => run(x as Tensor, axis),
    reference: (x) => reductions.reduce(x as Dense, axis, fold),
    gradients: [0],
  }));
}

/** A matrix product of one family of shapes, given untransposed. */
export function product(transA: boolean, transB: boolean, variant: string, shapes: Shapes): Operation {
  return {
    op: 'matmul',
    variant: `${variant}, transA=${transA}, transB=${transB}`,
    sizes: sizes(turned(shapes, transA, transB)),
    run: (...x) => matmul(x[0] as Tensor, x[1] as Tensor, { transA, transB }),
    reference: (...x) => matmulReference(x[0] as Dense, x[1] as Dense, transA, transB),
    gradients: [0, 1],
  };
}

/** Shapes of two operands of a product, as they are stored when they are read transposed. */
function turned(shapes: Shapes, transA: boolean, transB: boolean): Shapes {
  const turn = (shape: readonly number[] = [], trans: boolean): readonly number[] =>
    trans ? [...shape.slice(0, -2), ...shape.slice(-2).reverse()] : shape;
  const all = Object.entries(shapes).map(([size, [a, b]]) => [size, [turn(a, transA), turn(b, transB)]]);
  return Object.fromEntries(all);
}

/** Numbers that bf16 holds, and so do their neighbours at this distance, up to 4. */
const BF16_GRID = 2 ** -6;

/**
 * An op that rounds its operands to bf16: any numbers against the reference of the rounded ones, and numbers that bf16 holds, moved
 * by a step that it holds, against finite differences, which would otherwise see the rounding of the step.
 * @param rounded  operands that the op rounds; the others stay f32
 */
export function inBf16(operation: Operation, rounded: readonly number[]): Operation[] {
  const inPrecision: Operation = {
    ...operation,
    op: `${operation.op} in bf16`,
    dtype: 'bf16',
    run: (...x) => autocast('bf16', () => operation.run(...x)),
    reference: (...x) => operation.reference(...x.map((one, i) => (rounded.includes(i) ? toBf16(one) : one))),
    gradients: [],
  };
  const { regular, odd } = operation.sizes;
  const exact = [regular, odd].map((operands) => operands?.map((one) => ({ ...one, grid: BF16_GRID })));
  const onGrid = Object.fromEntries(
    (['regular', 'odd'] as const).flatMap((size, i) => (exact[i] === undefined ? [] : [[size, exact[i]]])),
  );
  if (regular === undefined && odd === undefined) return [inPrecision];
  const variant = [operation.variant, 'numbers of bf16'].filter(Boolean).join(', ');
  const { gradients } = operation;
  return [inPrecision, { ...inPrecision, variant, sizes: onGrid, gradients, step: BF16_GRID }];
}

/** [M,K] × [K,N]. */
export const MATRICES: Shapes = {
  regular: [
    [8, 16],
    [16, 8],
  ],
  odd: [
    [7, 5],
    [5, 3],
  ],
  empty: [
    [0, 5],
    [5, 3],
  ],
  big: [
    [65, 300],
    [300, 129],
  ],
};
/** [B,M,K] × [B,K,N]. */
export const BATCHES: Shapes = {
  regular: [
    [2, 4, 8],
    [2, 8, 4],
  ],
  odd: [
    [3, 5, 7],
    [3, 7, 2],
  ],
  empty: [
    [0, 4, 8],
    [0, 8, 4],
  ],
  big: [
    [5, 33, 65],
    [5, 65, 31],
  ],
};
/** Products that are cut in another way than MATRICES: along K, M and N, with rows too few for packing; sums over nothing. */
export const LONG: Readonly<Record<string, Shapes>> = {
  'long sums': {
    big: [
      [30, 1100],
      [1100, 40],
    ],
  },
  tall: {
    big: [
      [260, 70],
      [70, 33],
    ],
  },
  wide: {
    big: [
      [5, 40],
      [40, 2100],
    ],
  },
  'few rows': {
    big: [
      [3, 300],
      [300, 500],
    ],
  },
  'sums of nothing': {
    empty: [
      [4, 0],
      [0, 3],
    ],
  },
  'sums of nothing in batches': {
    empty: [
      [2, 4, 0],
      [2, 0, 3],
    ],
  },
};
/** [...,K] × [K,N]. */
export const ROWS: Shapes = {
  regular: [
    [2, 4, 8],
    [8, 16],
  ],
  odd: [
    [3, 1, 5],
    [5, 7],
  ],
  empty: [
    [2, 0, 5],
    [5, 3],
  ],
  big: [
    [3, 50, 65],
    [65, 31],
  ],
};

/** Batch, queries, keys, heads and width of attention. */
type HeadShape = readonly [batch: number, queries: number, keys: number, heads: number, width: number];

/** Attention with one mask; regular and odd sizes are checked for gradients, unless part of a cache is used. */
export function heads(
  variant: string,
  kvHeads: number,
  shapes: Record<'regular' | 'odd' | 'big', HeadShape> & { readonly empty?: HeadShape },
  mask: Omit<Mask, 'scale'>,
): Operation {
  const operands = Object.entries(shapes).map(([size, [b, t, s, h, d]]) => [
    size,
    [
      [b, t, h, d],
      [b, s, h / kvHeads, d],
      [b, s, h / kvHeads, d],
    ],
  ]);
  const scale = 0.4;
  return {
    op: 'attention',
    variant,
    sizes: sizes(Object.fromEntries(operands)),
    run: (...x) => attention(x[0] as Tensor, x[1] as Tensor, x[2] as Tensor, { ...mask, scale }),
    reference: (...x) => attentionReference(x[0] as Dense, x[1] as Dense, x[2] as Dense, { ...mask, scale }),
    gradients: mask.kvLength === undefined ? [0, 1, 2] : [],
  };
}
