import {
  absmaxFakeQuantize,
  absmaxQuantize,
  absmeanFakeQuantize,
  absmeanQuantize,
  add,
  BLOCK_SIZES,
  type BlockFormat,
  decodeBlocks,
  encodeBlocks,
  gatherRows,
  hyperDecode,
  hyperEncode,
  kmeans,
  mulScalar,
  nearestCentroid,
  Philox,
  packBits,
  seedlmDecode,
  seedlmEncode,
  type Tensor,
  TernaryMatrix,
  tensor,
  ternaryAccumulate,
  ternaryMatmul,
} from '@agentforge/tensor';
import { ONE, type Operation, type Shapes, sizes } from './operation.js';
import type { Dense } from './reference/dense.js';
import * as quantize from './reference/quantize.js';

/** x[..., K] and w[N, K]. */
const PRODUCTS: Shapes = {
  regular: [
    [4, 32],
    [16, 32],
  ],
  odd: [
    [3, 1, 37],
    [21, 37],
  ],
  empty: [
    [0, 5],
    [7, 5],
  ],
  big: [
    [13, 520],
    [70, 520],
  ],
};

const BLOCK_ROWS: Shapes = { regular: [[2, 256]], odd: [[3, 1, 768]], empty: [[0, 256]], big: [[33, 1024]] };

// Rows of clusters so narrow and so far apart that a centroid in each is the only sensible choice.
const CLUSTERS = 4;
const SPREAD = 0.01;
const DISTANCE = 4;

/** Row i belongs to cluster i mod CLUSTERS, whose rows lie around DISTANCE times its number. */
function clusterOffsets(shape: readonly number[]): Tensor {
  const [rows = 0, width = 0] = shape;
  const offsets = Float32Array.from(
    { length: rows * width },
    (_, i) => DISTANCE * (Math.floor(i / width) % CLUSTERS),
  );
  return tensor(offsets, shape);
}

/** Runs f with the packed ternary form of w. */
function packed<T>(w: Tensor, f: (matrix: TernaryMatrix) => T): T {
  const matrix = TernaryMatrix.pack(absmeanQuantize(w));
  try {
    return f(matrix);
  } finally {
    matrix.dispose();
  }
}

function unary(
  op: string,
  run: (x: Tensor) => Tensor,
  reference: (x: Dense) => Dense,
  shapes: Shapes = ONE,
  filling: Parameters<typeof sizes>[1] = {},
): Operation {
  return {
    op,
    sizes: sizes(shapes, filling),
    run: (x) => run(x as Tensor),
    reference: (x) => reference(x as Dense),
    gradients: [],
  };
}

/** Ops of the quantisation family. Rounding has no gradient of its own; the straight-through one is a test of packages/tensor. */
export const QUANTIZE_OPERATIONS: readonly Operation[] = [
  unary('absmeanQuantize', (w) => absmeanQuantize(w).codes, quantize.absmeanCodes),
  unary('absmeanFakeQuantize', absmeanFakeQuantize, quantize.absmeanValues),
  unary('absmaxQuantize', (x) => absmaxQuantize(x).codes, quantize.absmaxCodes),
  unary('absmaxFakeQuantize', absmaxFakeQuantize, quantize.absmaxValues),
  ...(Object.keys(BLOCK_SIZES) as BlockFormat[]).flatMap((format): Operation[] => {
    const shapes = format === 'F16' ? ONE : BLOCK_ROWS;
    return [
      {
        ...unary(
          'encodeBlocks',
          (x) => encodeBlocks(x, format),
          (x) => quantize.encodeBlocks(x, format),
          shapes,
        ),
        variant: format,
      },
      {
        ...unary(
          'decodeBlocks',
          (x) => decodeBlocks(encodeBlocks(x, format), format),
          (x) => quantize.throughBlocks(x, format),
          shapes,
        ),
        variant: format,
      },
    ];
  }),
  {
    op: 'ternaryMatmul',
    sizes: sizes(PRODUCTS),
    run: (...x) => packed(x[1] as Tensor, (w) => ternaryMatmul(x[0] as Tensor, w)),
    reference: (...x) => quantize.ternaryMatmul(x[0] as Dense, x[1] as Dense),
    gradients: [],
  },
  {
    op: 'ternaryAccumulate',
    sizes: sizes(PRODUCTS),
    run: (...x) => packed(x[1] as Tensor, (w) => ternaryAccumulate(absmaxQuantize(x[0] as Tensor).codes, w)),
    reference: (...x) =>
      quantize.accumulate(quantize.absmaxCodes(x[0] as Dense), quantize.absmeanCodes(x[1] as Dense)),
    gradients: [],
  },
  {
    op: 'nearestCentroid',
    sizes: sizes({
      regular: [
        [16, 4],
        [8, 4],
      ],
      odd: [
        [37, 3],
        [5, 3],
      ],
      empty: [
        [0, 4],
        [3, 4],
      ],
      big: [
        [4200, 8],
        [129, 8],
      ],
    }),
    run: (...x) => nearestCentroid(x[0] as Tensor, x[1] as Tensor).index,
    reference: (...x) => quantize.nearestCentroid(x[0] as Dense, x[1] as Dense),
    gradients: [],
  },
  unary(
    'kmeans',
    (x) => {
      const rows = add(mulScalar(x, SPREAD), clusterOffsets(x.shape));
      const { centroids, index } = kmeans(rows, { k: CLUSTERS, stream: new Philox(5) });
      return gatherRows(centroids, index);
    },
    (x) => quantize.clusterMeans(x, CLUSTERS, SPREAD, DISTANCE),
    { regular: [[16, 4]], odd: [[37, 3]], big: [[4200, 8]] },
  ),
  unary(
    'packBits',
    (x) => packBits(x, { width: 3 }),
    (x) => quantize.packBits(x, 3),
    ONE,
    { below: 7 },
  ),
  unary(
    'seedlm',
    (w) => seedlmDecode(seedlmEncode(w, { bits: 8, block: 4, rank: 1 })),
    quantize.throughSeedlm,
    { regular: [[4, 16]], odd: [[3, 7, 5]], empty: [[0, 5]], big: [[130, 257]] },
  ),
  unary(
    'hyper',
    (w) => hyperDecode(hyperEncode(w, { side: 1.5, cells: 20, classes: 3 })),
    (w) => quantize.throughHyper(w, 1.5, 20, 3),
  ),
];
