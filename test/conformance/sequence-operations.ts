import {
  type Activation,
  dropout,
  keyRanges,
  klDivergence,
  linear,
  linearScan,
  Philox,
  rangedAttention,
  scatterAddRows,
  type Tensor,
  topK,
} from '@agentforge/tensor';
import { ONE, type Operation, sizes } from './operation.js';
import { at, build, type Dense } from './reference/dense.js';
import { matmul } from './reference/matmul.js';
import * as reference from './reference/sequence.js';

const { exp, floor, max, tanh } = Math;

const ACTIVATIONS: Record<Activation, (x: number) => number> = {
  none: (x) => x,
  relu: (x) => max(x, 0),
  relu2: (x) => max(x, 0) ** 2,
  silu: (x) => x / (1 + exp(-x)),
  sigmoid: (x) => 1 / (1 + exp(-x)),
  tanh,
};

const PAIRS = {
  regular: [
    [4, 16],
    [4, 16],
  ],
  odd: [
    [2, 3, 7],
    [2, 3, 7],
  ],
  empty: [
    [0, 5],
    [0, 5],
  ],
  big: [
    [65, 517],
    [65, 517],
  ],
};

/** Thought token j of position i sees the text up to i, and the tokens of its own thought up to itself. */
function seesOwnThought(length: number): (query: number, key: number) => boolean {
  return (query, key) => {
    const [position, depth] = [query % length, floor(query / length)];
    return key < length ? key <= position : key % length === position && floor(key / length) <= depth;
  };
}

function thoughts(
  variant: string,
  shapes: Record<string, [number, number, number, number, number, number]>,
): Operation {
  const operands = Object.entries(shapes).map(([size, [b, length, depth, heads, kvHeads, width]]) => [
    size,
    [
      [b, length * depth, heads, width],
      [b, length * depth, kvHeads, width],
      [b, length * depth, kvHeads, width],
    ],
  ]);
  const lengthOf = (queries: number): number =>
    Object.values(shapes).find(([, length, depth]) => length * depth === queries)?.[1] ?? 1;
  return {
    op: 'rangedAttention',
    variant,
    sizes: sizes(Object.fromEntries(operands)),
    run: (...x) => {
      const [q, k, v] = x as [Tensor, Tensor, Tensor];
      const queries = q.shape[1] as number;
      return rangedAttention(q, k, v, keyRanges(queries, queries, seesOwnThought(lengthOf(queries))), {
        scale: 0.4,
      });
    },
    reference: (...x) => {
      const [q, k, v] = x as [Dense, Dense, Dense];
      const queries = q.shape[1] as number;
      return reference.maskedAttention(q, k, v, seesOwnThought(lengthOf(queries)), 0.4);
    },
    gradients: [0, 1, 2],
  };
}

/** Divergences, epilogues, choices, recurrences and masks. */
export const SEQUENCES: readonly Operation[] = [
  {
    op: 'klDivergence',
    variant: 'none',
    sizes: sizes(PAIRS),
    run: (...x) => klDivergence(x[0] as Tensor, x[1] as Tensor, { reduction: 'none' }),
    reference: (...x) => reference.klDivergence(x[0] as Dense, x[1] as Dense),
    gradients: [0, 1],
  },
  ...(['mean', 'sum'] as const).map(
    (reduction): Operation => ({
      op: 'klDivergence',
      variant: reduction,
      sizes: sizes(reduction === 'mean' ? { regular: PAIRS.regular, odd: PAIRS.odd, big: PAIRS.big } : PAIRS),
      run: (...x) => klDivergence(x[0] as Tensor, x[1] as Tensor, { reduction }),
      reference: (...x) => {
        const rows = reference.klDivergence(x[0] as Dense, x[1] as Dense).data;
        const total = rows.reduce((sum, value) => sum + value, 0);
        return build([1], () => (reduction === 'mean' ? total / rows.length : total));
      },
      gradients: [0, 1],
    }),
  ),
  {
    op: 'dropout',
    sizes: sizes(ONE),
    run: (x) => dropout(x, 0.3, new Philox(5)),
    reference: (x) => {
      const stream = new Philox(5);
      return build(x.shape, (i) => (stream.float() < 0.7 ? at(x, i) / 0.7 : 0));
    },
    gradients: [0],
  },
  {
    op: 'topK',
    sizes: sizes(
      { regular: [[4, 16]], odd: [[2, 3, 7]], empty: [[0, 5]], big: [[65, 517]] },
      { isSpaced: true },
    ),
    run: (x) => topK(x, 5).values,
    reference: (x) => reference.topK(x, 5),
    gradients: [0],
  },
  ...[false, true].map(
    (hasStart): Operation => ({
      op: 'linearScan',
      variant: hasStart ? 'from a state' : 'from zero',
      sizes: sizes(
        Object.fromEntries(
          Object.entries({ regular: [2, 8, 16], odd: [3, 5, 7], empty: [1, 0, 4], big: [2, 65, 129] }).map(
            ([size, shape]) => [size, hasStart ? [shape, shape, [shape[0], shape[2]]] : [shape, shape]],
          ),
        ),
        { low: -1, high: 1 },
      ),
      run: (...x) => linearScan(x[0] as Tensor, x[1] as Tensor, x[2] ?? null),
      reference: (...x) => reference.linearScan(x[0] as Dense, x[1] as Dense, x[2] ?? null),
      gradients: hasStart ? [0, 1, 2] : [0, 1],
    }),
  ),
  {
    op: 'scatterAddRows',
    sizes: sizes(
      {
        regular: [[8, 2, 4], [4], [4, 2, 4]],
        odd: [
          [7, 5],
          [2, 3],
          [2, 3, 5],
        ],
        empty: [[7, 5], [0], [0, 5]],
        big: [[300, 129], [500], [500, 129]],
      },
      {},
      { below: 7 },
    ),
    run: (...x) => scatterAddRows(x[0] as Tensor, x[1] as Tensor, x[2] as Tensor),
    reference: (...x) => reference.scatterAddRows(x[0] as Dense, x[1] as Dense, x[2] as Dense),
    gradients: [0, 2],
  },
  thoughts('thoughts in parallel', {
    regular: [2, 4, 2, 2, 2, 8],
    odd: [1, 3, 3, 3, 1, 5],
    empty: [0, 4, 2, 2, 2, 8],
    big: [1, 33, 4, 4, 2, 16],
  }),
  ...(Object.keys(ACTIVATIONS) as Activation[]).map(
    (activation): Operation => ({
      op: 'linear',
      variant: `with bias and ${activation}`,
      sizes: sizes(
        {
          regular: [[4, 8], [16, 8], [16]],
          odd: [[2, 3, 5], [7, 5], [7]],
          empty: [[0, 5], [3, 5], [3]],
          big: [[150, 33], [257, 33], [257]],
        },
        ...[0, 1, 2].map(() => ({ low: 0.1, high: 1 })), // away from the kink of relu
      ),
      run: (...x) => linear(x[0] as Tensor, x[1] as Tensor, x[2] as Tensor, { activation }),
      reference: (...x) => {
        const [input, weight, bias] = x as [Dense, Dense, Dense];
        const product = matmul(input, weight, false, true);
        const width = bias.data.length;
        return build(product.shape, (i) => ACTIVATIONS[activation](at(product, i) + at(bias, i % width)));
      },
      gradients: [0, 1, 2],
    }),
  ),
];
