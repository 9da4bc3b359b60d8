import {
  add,
  addScalar,
  div,
  linearScan,
  matmul,
  mul,
  mulScalar,
  ones,
  relu,
  reshape,
  sigmoid,
  silu,
  slice,
  sqrt,
  sub,
  type Tensor,
  tensor,
} from '@agentforge/tensor';

/** A memory between two chunks: the weights of its multi-layer perceptron and their momentum, N memories at once. */
export interface MemoryWeights {
  /** One per layer, f32 [N, out, in]. */
  readonly weights: readonly Tensor[];
  /** As the weights: S, the surprise that goes on. */
  readonly momentum: readonly Tensor[];
}

/** What the data say about each token, all f32 [N, b, 1]. */
export interface MemoryGates {
  /** α: part of the weights that is forgotten, 0 … 1. */
  readonly decay: Tensor;
  /** η: part of the surprise that goes on, 0 … 1. */
  readonly momentum: Tensor;
  /** θ: step along the gradient of the token, ≥ 0. */
  readonly step: Tensor;
}

/** What a chunk of b tokens makes of a memory; nothing is kept per token but vectors. */
export interface MemoryChunk {
  readonly start: MemoryWeights;
  /** Input of each layer for the keys, f32 [N, b, in]. */
  readonly inputs: readonly Tensor[];
  /** Gradient of the loss in each layer's output, f32 [N, b, out]; with the input, the layer's gradient: δ hᵀ. */
  readonly errors: readonly Tensor[];
  /** Row t: S after token t as a sum of the b gradients, the S and the M before, f32 [N, b, b + 2]. */
  readonly momentumRows: Tensor;
  /** Row t: M after token t, likewise. */
  readonly weightRows: Tensor;
}

/** Keeps the root of the gradient's norm differentiable at zero. */
const NORM_EPS = 1e-12;

/**
 * Learns a chunk: gradients of ‖M(k) − v‖² at the weights of the chunk's start, the recurrences of momentum and decay
 * within it. With one token per chunk it is the sequential rule, S ← ηS − θ∇, M ← (1 − α)M + S.
 * M after each token is the weights and the momentum of the start plus outer products, so rows of coefficients say
 * all of it and no weights are made per token.
 * @param keys     f32 [N, b, d]
 * @param values   f32 [N, b, d]
 * @param maxNorm  a token's gradient over all layers is scaled down to this norm
 * @see Behrouz et al. 2024, arXiv:2501.00663, equations 8 to 14 and section 3.2
 */
export function learnChunk(
  start: MemoryWeights,
  keys: Tensor,
  values: Tensor,
  gates: MemoryGates,
  maxNorm: number,
): MemoryChunk {
  const { inputs, errors } = gradients(start.weights, keys, values);
  const step = mul(gates.step, clipFactor(inputs, errors, maxNorm));
  const [count = 0, size = 0] = keys.shape;
  const width = size + 2;
  const own = mul(spread(step, width), diagonal(size));
  const momentumRows = linearScan(
    spread(gates.momentum, width),
    mulScalar(own, -1),
    basis(count, width, size),
  );
  const kept = addScalar(mulScalar(gates.decay, -1), 1);
  const weightRows = linearScan(spread(kept, width), momentumRows, basis(count, width, size + 1));
  return { start, inputs, errors, momentumRows, weightRows };
}

/**
 * Reads M after the tokens `from`, `from` + 1, … of the chunk, each for its own query.
 * @param queries  f32 [N, t, d]
 * @returns        f32 [N, t, d]
 */
export function recall(
  { start, inputs, errors, weightRows }: MemoryChunk,
  queries: Tensor,
  from = 0,
): Tensor {
  const [, size = 0] = weightRows.shape;
  const rows = slice(weightRows, 1, from, from + (queries.shape[1] ?? 0));
  const ofTokens = slice(rows, 2, 0, size);
  const ofMomentum = slice(rows, 2, size, size + 1);
  const ofWeights = slice(rows, 2, size + 1, size + 2);
  let x = queries;
  start.weights.forEach((weights, layer) => {
    if (layer > 0) x = silu(x);
    const alike = mul(matmul(x, at(inputs, layer), { transB: true }), ofTokens);
    const kept = matmul(scaleRows(x, ofWeights), weights, { transB: true });
    const carried = matmul(scaleRows(x, ofMomentum), at(start.momentum, layer), { transB: true });
    x = add(add(kept, carried), matmul(alike, at(errors, layer)));
  });
  return x;
}

/** The memory after the whole chunk. */
export function endOfChunk({ start, inputs, errors, momentumRows, weightRows }: MemoryChunk): MemoryWeights {
  const [count = 0, size = 0, width = 0] = weightRows.shape;
  const after = (rows: Tensor): Tensor[] => {
    const last = slice(rows, 1, size - 1, size);
    const ofTokens = reshape(slice(last, 2, 0, size), [count, size, 1]);
    const column = (index: number): Tensor => reshape(slice(last, 2, index, index + 1), [count, 1]);
    return start.weights.map((weights, layer) => {
      const learned = matmul(scaleRows(at(errors, layer), ofTokens), at(inputs, layer), { transA: true });
      const carried = scaleMatrices(at(start.momentum, layer), column(size));
      return add(learned, add(carried, scaleMatrices(weights, column(width - 1))));
    });
  };
  return { weights: after(weightRows), momentum: after(momentumRows) };
}

/** The gradient of ‖M(k) − v‖² in every layer, as what goes in and the error that comes back. */
function gradients(
  weights: readonly Tensor[],
  keys: Tensor,
  values: Tensor,
): { inputs: Tensor[]; errors: Tensor[] } {
  const inputs: Tensor[] = [];
  const sums: Tensor[] = [];
  let x = keys;
  for (const layer of weights) {
    if (sums.length > 0) x = silu(x);
    inputs.push(x);
    x = matmul(x, layer, { transB: true });
    sums.push(x);
  }
  let error = mulScalar(sub(x, values), 2);
  const errors = [error];
  for (let layer = weights.length - 1; layer > 0; layer--) {
    error = mul(matmul(error, at(weights, layer)), siluSlope(at(sums, layer - 1)));
    errors.unshift(error);
  }
  return { inputs, errors };
}

/** Derivative of silu: s + x s (1 − s), s = sigmoid(x). */
function siluSlope(x: Tensor): Tensor {
  const s = sigmoid(x);
  return add(s, mul(mul(x, s), addScalar(mulScalar(s, -1), 1)));
}

/** min(1, maxNorm / ‖∇‖) for each token, f32 [N, b, 1]; a layer's gradient is an outer product, so its norm is a product. */
function clipFactor(inputs: readonly Tensor[], errors: readonly Tensor[], maxNorm: number): Tensor {
  const squared = (x: Tensor): Tensor => matmul(mul(x, x), ones([x.shape.at(-1) ?? 0, 1]));
  const squares = inputs.map((x, layer) => mul(squared(x), squared(at(errors, layer))));
  const norm = sqrt(addScalar(squares.reduce(add), NORM_EPS));
  return div(maxNorm, addScalar(relu(addScalar(norm, -maxNorm)), maxNorm));
}

/** A column f32 [N, b, 1], repeated to [N, b, width]. */
function spread(column: Tensor, width: number): Tensor {
  return matmul(column, ones([1, width]));
}

/** Every row of x f32 [N, t, C] times its factor f32 [N, t, 1]. */
function scaleRows(x: Tensor, factors: Tensor): Tensor {
  return mul(x, spread(factors, x.shape.at(-1) ?? 0));
}

/** Every matrix of x f32 [N, O, I] times its factor f32 [N, 1]. */
function scaleMatrices(x: Tensor, factors: Tensor): Tensor {
  const [count = 0, rows = 0, columns = 0] = x.shape;
  return mul(x, reshape(matmul(factors, ones([1, rows * columns])), [count, rows, columns]));
}

/** f32 [size, size + 2]: 1 where row and column agree. */
function diagonal(size: number): Tensor {
  const values = new Float32Array(size * (size + 2));
  for (let i = 0; i < size; i++) values[i * (size + 2) + i] = 1;
  return tensor(values, [size, size + 2]);
}

/** f32 [count, width]: 1 in one column. */
function basis(count: number, width: number, column: number): Tensor {
  const values = new Float32Array(count * width);
  for (let i = 0; i < count; i++) values[i * width + column] = 1;
  return tensor(values, [count, width]);
}

function at(tensors: readonly Tensor[], layer: number): Tensor {
  const found = tensors[layer];
  if (found === undefined) throw new RangeError(`a memory of ${tensors.length} layers has no layer ${layer}`);
  return found;
}
