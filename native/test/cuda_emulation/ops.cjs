/**
 * One call of every op, for processes that must agree: `callAll(native)` gives, by op, all bytes that the call left
 * behind: its results, and its operands, of which some are destinations.
 */
const F32 = 0;
const I32 = 1;
const U8 = 4;
const I8 = 5;
const F64 = 3;

/** Numbers in −1..1 that follow from their position. */
const wave = (n, scale = 1) =>
  Float32Array.from({ length: n }, (_, i) => scale * Math.sin(1 + 1.7 * i + 0.01 * i * i));
const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

/** Makers of operands; all that they make is kept. */
function operandsOf(native) {
  const made = [];
  const put = (dtype, shape, data) => {
    const h = native.alloc(dtype, shape);
    native.write(h, data);
    made.push(h);
    return h;
  };
  return {
    made,
    x: (shape, scale) => put(F32, shape, wave(sizeOf(shape), scale)),
    positive: (shape) =>
      put(
        F32,
        shape,
        wave(sizeOf(shape)).map((v) => 0.1 + v * v),
      ),
    f32: (shape, values) => put(F32, shape, Float32Array.from(values)),
    f64: (values) => put(F64, [values.length], Float64Array.from(values)),
    i32: (shape, values) => put(I32, shape, Int32Array.from(values)),
    i8: (shape, values) => put(I8, shape, Int8Array.from(values)),
    u8: (shape, values) => put(U8, shape, Uint8Array.from(values)),
    view: (h, offset, shape) => {
      const view = native.view(h, offset, shape);
      made.push(view);
      return view;
    },
    /** Results of another op. */
    of: (results) => {
      made.push(...[results].flat());
      return results;
    },
  };
}

const key = [1, 2, 3, 4];
const ternary = (n) =>
  Array.from({ length: n }, (_, i) => (i * i + (i >> 2)) % 3) // 0, 1, 2
    .map((code) => code - 1);
const one = ({ x }) => [x([5, 7])];
const two = ({ x }) => [x([5, 7]), x([5, 7], 0.5)];
const models = ({ x }) => [x([96]), x([96], 0.8), x([96], 0.6)];
const adamw = ({ x, positive }) => [
  x([33]),
  x([33], 0.2),
  x([33], 0.1),
  positive([33]),
  0.01,
  0.9,
  0.99,
  1e-8,
  0.1,
  3,
  0.5,
];
const attended = ({ x }) => [x([1, 5, 4, 8]), x([1, 6, 2, 8]), x([1, 6, 2, 8], 0.7)];
const ranges = ({ i32 }) => i32([5, 2, 2], [0, 1, 3, 4, 0, 2, 2, 6, 1, 1, 4, 5, 0, 0, 0, 0, 0, 6, 6, 6]);

/** Arguments of one call by op. */
const calls = {
  full: () => [F32, [5, 3], 0.3],
  copy: (t) => {
    const all = t.x([20]);
    return [t.view(all, 3, [12]), t.view(all, 0, [12])];
  },
  add: two,
  sub: two,
  mul: two,
  div: ({ x, positive }) => [x([5, 7]), positive([7])],
  addScalar: ({ x }) => [x([9]), 0.3],
  mulScalar: ({ x }) => [x([9]), 0.3],
  axpy: ({ x }) => [x([9]), 0.3, x([9], 2)],
  scaleInPlace: ({ x }) => [x([9]), 0.3],
  neg: one,
  exp: one,
  log: ({ positive }) => [positive([9])],
  tanh: one,
  sigmoid: one,
  silu: one,
  relu: one,
  relu2: one,
  sqrt: ({ positive }) => [positive([9])],
  abs: one,
  sign: one,
  siluBackward: two,
  sigmoidBackward: two,
  tanhBackward: two,
  reluBackward: two,
  relu2Backward: two,
  sum: ({ x }) => [x([5, 7]), 1],
  mean: ({ x }) => [x([5, 7]), 0],
  max: ({ x }) => [x([5, 7]), -1],
  argmax: one,
  sumSquares: (t) => [two(t)],
  clipScale: (t) => [two(t), 1, [t.x([3])]],
  scaleBy: ({ x, f64 }) => [x([9]), f64([0.3])],
  expandScalar: ({ x, f64 }) => [x([1]), 0.3, f64([0.7]), 11],
  sumToShape: ({ x }) => [x([4, 5, 7]), [7]],
  isFinite: (t) => [two(t)],
  dot: two,
  slice: ({ x }) => [x([5, 7]), 1, 2, 5],
  concat: (t) => [two(t), 1],
  permute: ({ x }) => [x([2, 3, 4]), [2, 0, 1]],
  gatherRows: ({ x, i32 }) => [x([5, 7]), i32([3], [4, 0, 4])],
  scatterAddRows: ({ x, i32 }) => [x([5, 7]), i32([3], [4, 0, 4]), x([3, 7], 2)],
  matmul: ({ x }) => [x([5, 7]), x([3, 7]), false, true, x([5, 3]), 0.5],
  matmulBf16: ({ x }) => [x([7, 5]), x([7, 3]), true, false, null, 0],
  embedding: ({ x, i32 }) => [x([5, 7]), i32([2, 2], [4, 0, 4, 1])],
  embeddingBackward: ({ x, i32 }) => [x([2, 2, 7]), i32([2, 2], [4, 0, 4, 1]), x([5, 7])],
  rmsNorm: ({ x }) => [x([5, 7]), x([7]), 1e-5],
  rmsNormBackward: ({ x, positive }) => [x([5, 7]), x([5, 7], 2), x([7]), positive([5]), x([7], 3)],
  rope: ({ x }) => [x([2, 3, 2, 8]), 5, 10000, [1, 1.5, 4, 8], 0, false],
  attention: (t) => [...attended(t), true, 0, 0.3, -1, false],
  attentionBackward: (t) => [
    t.x([1, 5, 4, 8], 2),
    ...attended(t),
    t.x([1, 5, 4, 8]),
    t.positive([1, 4, 5]),
    true,
    0,
    0.3,
    false,
  ],
  swiglu: two,
  swigluBackward: ({ x }) => [x([9]), x([9], 2), x([9], 3)],
  softmax: one,
  softmaxBackward: two,
  crossEntropy: ({ x, i32 }) => [x([5, 7]), i32([5], [0, 6, -1, 2, 2]), -1],
  crossEntropyBackward: ({ x, i32, positive }) => [
    x([5, 7]),
    i32([5], [0, 6, -1, 2, 2]),
    positive([5]),
    x([5]),
    0.2,
    -1,
    true,
  ],
  targetWeight: ({ i32 }) => [i32([5], [0, 6, -1, 2, 2]), -1],
  adamw,
  adamwPrepared: (t) => {
    const [[p, g, m, v], [q, h, n, w]] = [adamw(t), adamw(t)];
    const settings = t.f64([0.01, 0.9, 0.99, 1e-8, 0.1, 0.271, 0.0297]);
    return [[p, q], [g, h], [m, n], [v, w], [], settings, t.f64([3, 0.5]), 0, 0, false];
  },
  philoxUniform: ({ x }) => [x([11]), ...key],
  philoxNormal: ({ x }) => [x([11]), ...key, 0.5, 2],
  biasActivationInPlace: ({ x }) => [x([5, 7]), x([7], 2), 3],
  klDivergence: two,
  klDivergenceBackward: ({ x, positive }) => [
    ...two({ x }),
    positive([5]),
    positive([5]),
    positive([5]),
    x([5]),
    0.2,
  ],
  dropout: ({ x, i32 }) => [x([301]), 0.3, ...key, i32([2], [5, 6])],
  topK: ({ x }) => [x([5, 17]), 4],
  categorical: ({ x }) => [x([5, 17]), ...key],
  linearScan: ({ x }) => [x([2, 9, 5]), x([2, 9, 5], 2), x([2, 5])],
  linearScanBackward: ({ x }) => [x([2, 9, 5]), x([2, 9, 5], 2), x([2, 9, 5], 3), x([2, 5])],
  rangedAttention: (t) => [...attended(t), ranges(t), 0.3],
  rangedAttentionBackward: (t) => [
    t.x([1, 5, 4, 8], 2),
    ...attended(t),
    t.x([1, 5, 4, 8]),
    t.positive([1, 4, 5]),
    ranges(t),
    0.3,
  ],
  adamwGrokfast: (t) => {
    const [param, grad, m, v, ...settings] = adamw(t);
    return [param, grad, t.x([33], 0.3), m, v, ...settings, 0.98, 2, false];
  },
  svd: one,
  newtonSchulz: ({ x }) => [x([5, 7]), 5],
  muon: ({ x }) => [x([5, 7]), x([5, 7], 2), x([5, 7], 3), 0.02, 0.95, true, 0.1, 5, 1],
  mergeLinear: (t) => [models(t), [0.2, 0.5, 0.4], true],
  mergeSlerp: (t) => [...models(t).slice(1), 0.3],
  mergeNuslerp: (t) => [...models(t).slice(1), t.x([96], 0.1), 0.3],
  mergeMultislerp: (t) => [models(t), [0.2, 0.5, 0.3], null, true],
  mergeKarcher: (t) => [models(t), [0.2, 0.5, 0.3], 10, 1e-5],
  mergeModelStock: (t) => [t.x([96], 0.1), models(t)],
  mergeTaskVectors: (t) => [
    t.x([96], 0.1),
    models(t),
    [1, 1, 1],
    1,
    [0.5, 0.5, 0.5],
    [0, 0, 0],
    0,
    [],
    true,
    true,
    0.9,
  ],
  mergeSce: (t) => [t.x([96], 0.1), models(t), 0.3],
  mergeRam: (t) => [t.x([96], 0.1), models(t), 1e-3, 0.5, 1.2],
  mergeNearswap: (t) => [...models(t).slice(1), 0.2],
  mergeArceeFusion: ({ x }) => [x([6, 16]), x([6, 16], 2)],
  absmeanQuantize: one,
  absmeanFakeQuantize: one,
  absmaxQuantize: one,
  absmaxFakeQuantize: one,
  encodeBlocks: ({ x }) => [x([2, 256]), 2],
  decodeBlocks: ({ u8 }) => [
    u8(
      [2, 34],
      Array.from({ length: 68 }, (_, i) => (i * 7) % 60),
    ),
    1,
  ],
  ternaryPack: ({ i8 }) => [i8([19, 21], ternary(19 * 21))],
  ternaryUnpack: (t) => [t.of(t.native.ternaryPack(t.i8([19, 21], ternary(19 * 21)))), 19, 21],
  ternaryAccumulate: (t) => [
    t.i8(
      [3, 21],
      ternary(63).map((c) => 50 * c + 7),
    ),
    t.of(t.native.ternaryPack(t.i8([19, 21], ternary(19 * 21)))),
    19,
  ],
  ternaryMatmul: (t) => [
    t.x([3, 21]),
    t.of(t.native.ternaryPack(t.i8([19, 21], ternary(19 * 21)))),
    t.positive([19]),
    19,
  ],
  seedlmEncode: ({ x }) => [x([3, 8]), 1, 6, 8, 3],
  seedlmDecode: (t) => [...t.of(t.native.seedlmEncode(t.x([3, 8]), 1, 6, 8, 3)), 1, 6, 8, 24],
  nearestCentroid: ({ x }) => [x([9, 4]), x([3, 4], 0.5)],
  kmeans: ({ x }) => [x([20, 3]), null, 4, 5, 1, 2],
  hyperEncode: ({ x }) => [x([21]), 1.5, 20, 2],
  hyperDecode: (t) => [...t.of(t.native.hyperEncode(t.x([21]), 1.5, 20, 2)), 1.5, 20, 2, 21],
  packBits: ({ i32 }) => [i32([5], [0, 3, 7, 1, 6]), 3, false],
  unpackBits: ({ u8 }) => [u8([2], [0b11010001, 0b01101011]), 5, 3, false],
  copyRows: ({ x }) => [x([9, 3]), x([4, 3], 2), 5],
};

/** Functions of the addon that compute nothing. */
const others = [
  'init',
  'deviceProbe',
  'backendInfo',
  'supportsOp',
  'fallbacks',
  'memoryStats',
  'resetPeak',
  'emptyCache',
  'alloc',
  'beginCapture',
  'endCapture',
  'abortCapture',
  'replayCapture',
  'freeCapture',
  'free',
  'view',
  'shapeOf',
  'dtypeOf',
  'write',
  'read',
  'readInto',
  'readWeights',
  'prefetchFile',
  'encodeWeights',
  'item',
];

const bytesOf = (native, h) =>
  `${native.dtypeOf(h)}[${native.shapeOf(h)}]${Buffer.from(native.read(h).buffer).toString('base64')}`;

/** What every op of the addon leaves behind. @throws an op without a call here, a call without an op */
function callAll(native) {
  const missing = Object.keys(native).filter((name) => !others.includes(name) && !(name in calls));
  if (missing.length > 0) throw new Error(`no call of ${missing.join(', ')}`);
  const numbers = ['sumSquares', 'isFinite', 'dot'];
  return Object.fromEntries(
    Object.entries(calls).map(([name, argumentsOf]) => {
      const t = { ...operandsOf(native), native };
      const result = native[name](...argumentsOf(t));
      if (numbers.includes(name)) return [name, result];
      const results = result === undefined ? [] : [result].flat();
      const left = [...results, ...t.made].map((h) => bytesOf(native, h));
      for (const h of new Set([...results, ...t.made])) native.free(h);
      return [name, left];
    }),
  );
}

module.exports = { callAll };
