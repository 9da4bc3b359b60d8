/** How far an op may be from its reference, and its gradient from finite differences. */
export interface Tolerance {
  /** Largest |result − reference|, relative to the largest |reference|, at least 1. */
  readonly forward: number;
  /** Largest |gradient − difference| / max(1, |difference|). */
  readonly gradient: number;
  readonly reason: string;
}

// One f32 rounding is 6e-8. Central differences with step 1e-2 carry 1e-4/6 of the third derivative and
// 6e-8/1e-2 of the rounding of each result that the moved input reaches.
const DIFFERENCES = 2e-3;

function tolerance(forward: number, reason: string, gradient = DIFFERENCES): Tolerance {
  return { forward, gradient, reason };
}

const exact = tolerance(0, 'moves elements, computes nothing');
const sameSteps = tolerance(0, 'f64 in the same order, rounded to f32 once: the same bits');
const oneRounding = tolerance(
  1.2e-7,
  'one rounding, half a unit in the last place, and that of the comparison',
);
const polynomial = tolerance(5e-7, 'a polynomial for the exponential or logarithm, a few roundings');

/** The one table of tolerances, by op; f32, or bf16 where the name says so. */
export const TOLERANCES: Readonly<Record<string, Tolerance>> = {
  add: oneRounding,
  sub: oneRounding,
  mul: oneRounding,
  div: tolerance(1.2e-7, 'one rounding; a number divides by its reciprocal, one more', 5e-3),
  addScalar: oneRounding,
  mulScalar: oneRounding,
  neg: exact,
  abs: exact,
  relu: exact,
  relu2: oneRounding,
  sqrt: oneRounding,
  exp: polynomial,
  log: polynomial,
  tanh: polynomial,
  sigmoid: polynomial,
  silu: polynomial,
  swiglu: polynomial,
  sum: tolerance(
    1e-5,
    'partial sums in lanes, four at least, and blocks: error grows slower than √n roundings; signs cancel, what is left is small',
  ),
  mean: tolerance(2e-6, 'the same sums as sum'),
  max: exact,
  argmax: exact,
  softmax: tolerance(1e-6, 'exponential, sum of a row, one division'),
  crossEntropy: tolerance(2e-6, 'log of a sum of exponentials; mean over rows'),
  rmsNorm: tolerance(1e-6, 'sum of squares of a row, one root, two products'),
  rope: tolerance(2e-6, 'angles up to the position in f32, sine and cosine, two products and a sum'),
  attention: tolerance(
    5e-6,
    'two dot products with an exponential between them, running rescale over key blocks',
  ),
  matmul: tolerance(1e-5, 'blocked sums over K: error grows slower than √K roundings of the partial sums'),
  linear: tolerance(1e-5, 'the same product as matmul'),
  'matmul in bf16': tolerance(
    1e-5,
    'products of two numbers of eight bits are exact in f32: the sums of matmul; differences see that dy is rounded to bf16, 2e-3 of each product',
    2e-2,
  ),
  'linear in bf16': tolerance(1e-5, 'as matmul in bf16; the bias is added in f32', 2e-2),
  embedding: exact,
  gatherRows: exact,
  reshape: exact,
  slice: exact,
  concat: exact,
  permute: exact,
  transpose: exact,
  klDivergence: tolerance(5e-6, 'differences of log-softmaxes, weighted and summed over a row'),
  dropout: tolerance(2e-7, 'one product by 1/(1−p), itself rounded'),
  topK: exact,
  scatterAddRows: tolerance(1e-6, 'sums of up to a hundred rows, in order'),
  linearScan: tolerance(1e-6, 'a product and a sum per step; |a| ≤ 1 keeps errors from growing', 5e-3),
  rangedAttention: tolerance(5e-6, 'as attention'),
  'merge.linear': sameSteps,
  'merge.slerp': oneRounding,
  'merge.nuslerp': oneRounding,
  'merge.multislerp': oneRounding,
  'merge.karcher': tolerance(
    3e-7,
    'stops iterating when steps are below 1e-5 of a radian: their square is left',
  ),
  'merge.modelStock': oneRounding,
  'merge.taskArithmetic': sameSteps,
  'merge.ties': sameSteps,
  'merge.dareLinear': oneRounding,
  'merge.dareTies': oneRounding,
  'merge.della': oneRounding,
  'merge.dellaLinear': sameSteps,
  'merge.breadcrumbs': sameSteps,
  'merge.breadcrumbsTies': sameSteps,
  'merge.sce': oneRounding,
  'merge.ram': oneRounding,
  'merge.ramPlus': oneRounding,
  'merge.nearswap': sameSteps,
  'merge.arceeFusion': exact,
  'merge.passthrough': exact,
  absmeanQuantize: tolerance(0, 'integers: one product, rounded as the reference rounds it, decides each'),
  absmeanFakeQuantize: tolerance(
    1.2e-7,
    'the step is a mean of the same sum in another order, rounded to f32',
  ),
  absmaxQuantize: tolerance(0, 'integers: a maximum has no order, one rounded product decides each'),
  absmaxFakeQuantize: oneRounding,
  encodeBlocks: tolerance(0, 'bytes of a file format that others read'),
  decodeBlocks: oneRounding,
  ternaryMatmul: tolerance(
    3e-7,
    'exact integer sums; the product of two steps, the sum as f32 and their product round once each',
  ),
  ternaryAccumulate: tolerance(0, 'integer sums'),
  nearestCentroid: tolerance(0, 'an index; the operands have no two centroids as near as rounding'),
  kmeans: tolerance(5e-7, 'means of f32 rows, which carry the rounding of their offset'),
  packBits: tolerance(0, 'moves bits'),
  seedlm: tolerance(
    2e-7,
    'an exact integer sum, one product; a seed differs only where two fit alike to f32 rounding',
  ),
  hyper: tolerance(2e-7, 'computed in f64, the centre and the result rounded to f32'),
};
