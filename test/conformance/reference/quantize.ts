import { at, axis, build, count, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { abs, ceil, floor, fround, log2, max, min, pow, sqrt } = Math;

/** Nearest integer, ties to even. */
function roundEven(x: number): number {
  const below = floor(x);
  if (x - below !== 0.5) return floor(x + 0.5);
  return below % 2 === 0 ? below : below + 1;
}

/** Nearest integer, ties away from zero. */
function roundAway(x: number): number {
  return x < 0 ? -floor(-x + 0.5) : floor(x + 0.5);
}

/** Nearest number of a binary format with `digits` bits after the leading one and this smallest exponent, ties to even. */
function toFloat(x: number, digits: number, leastExponent: number): number {
  if (x === 0) return x;
  const step = pow(2, max(floor(log2(abs(x))), leastExponent) - digits);
  return roundEven(x / step) * step;
}

/** IEEE half precision. */
export function toHalf(x: number): number {
  return toFloat(x, 10, -14);
}

/** The 16 bits of a number that a half holds exactly. */
function halfBits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = abs(x);
  if (magnitude < pow(2, -14)) return sign + magnitude / pow(2, -24);
  const exponent = floor(log2(magnitude));
  return sign + (exponent + 15) * 1024 + (magnitude / pow(2, exponent) - 1) * 1024;
}

/** Elements of row `row`. */
function rowOf(x: Dense, row: number): number[] {
  const width = axis(x, -1);
  return [...x.data.subarray(row * width, (row + 1) * width)];
}

function largest(values: readonly number[]): number {
  return values.reduce((top, value) => max(top, abs(value)), 0);
}

/** 1 / max(mean |w|, 1e-5) and back, each in f32. */
function absmean(w: Dense): { inverse: number; step: number } {
  const mean = w.data.reduce((sum, value) => sum + abs(value), 0) / max(1, w.data.length);
  const inverse = fround(1 / max(fround(mean), fround(1e-5)));
  return { inverse, step: fround(1 / inverse) };
}

/** BitNet's weights: −1, 0, 1. */
export function absmeanCodes(w: Dense): Dense {
  const { inverse } = absmean(w);
  return build(w.shape, (i) => max(-1, min(1, roundEven(fround(at(w, i) * inverse)))));
}

/** The values of those codes. */
export function absmeanValues(w: Dense): Dense {
  const codes = absmeanCodes(w);
  const { step } = absmean(w);
  return build(w.shape, (i) => at(codes, i) * step);
}

function absmaxInverse(row: readonly number[]): number {
  return fround(fround(1 / max(largest(row), fround(1e-5))) * 127);
}

/** BitNet's activations: int8 by rows. */
export function absmaxCodes(x: Dense): Dense {
  const width = axis(x, -1);
  const inverses = Array.from({ length: count(x.shape.slice(0, -1)) }, (_, row) =>
    absmaxInverse(rowOf(x, row)),
  );
  return build(x.shape, (i) => roundEven(fround(at(x, i) * (inverses[floor(i / width)] ?? 0))));
}

/** The values of those codes. */
export function absmaxValues(x: Dense): Dense {
  const codes = absmaxCodes(x);
  const width = axis(x, -1);
  const inverses = Array.from({ length: count(x.shape.slice(0, -1)) }, (_, row) =>
    absmaxInverse(rowOf(x, row)),
  );
  return build(x.shape, (i) => at(codes, i) / (inverses[floor(i / width)] ?? 0));
}

/** Σ code · weight over the last axes, integers. */
export function accumulate(codes: Dense, weights: Dense): Dense {
  const width = axis(weights, 1);
  const rows = axis(weights, 0);
  return build([...codes.shape.slice(0, -1), rows], (i) => {
    const [m, n] = [floor(i / rows), i % rows];
    let sum = 0;
    for (let k = 0; k < width; k++) sum += at(codes, m * width + k) * at(weights, n * width + k);
    return sum;
  });
}

/** int8 activations times ternary weights, with their steps. */
export function ternaryMatmul(x: Dense, w: Dense): Dense {
  const sums = accumulate(absmaxCodes(x), absmeanCodes(w));
  const rows = axis(w, 0);
  const { step } = absmean(w);
  return build(sums.shape, (i) => (at(sums, i) * step) / absmaxInverse(rowOf(x, floor(i / rows))));
}

/** Scale of a block, as stored, and its integer codes. */
type BlockCode = (block: readonly number[]) => { d: number; codes: number[] };

const int8Block: BlockCode = (block) => {
  const d = fround(largest(block) / 127);
  const inverse = d === 0 ? 0 : fround(1 / d);
  return { d: toHalf(d), codes: block.map((value) => roundAway(fround(value * inverse))) };
};

const ternaryBlock: BlockCode = (block) => {
  const d = largest(block);
  const inverse = d === 0 ? 0 : fround(1 / d);
  return { d: toHalf(d), codes: block.map((value) => roundAway(fround(value * inverse))) };
};

function pair(d: number): number[] {
  return [halfBits(d) % 256, floor(halfBits(d) / 256)];
}

function tq1Bytes(codes: readonly number[]): number[] {
  const runs = [
    { first: 0, width: 32, trits: 5 },
    { first: 160, width: 16, trits: 5 },
    { first: 240, width: 4, trits: 4 },
  ];
  return runs.flatMap(({ first, width, trits }) =>
    Array.from({ length: width }, (_, m) => {
      let q = 0;
      for (let n = 0; n < 5; n++) q = q * 3 + (n < trits ? (codes[first + m + width * n] ?? 0) + 1 : 0);
      return ceil((q * 256) / 243);
    }),
  );
}

function tq2Bytes(codes: readonly number[]): number[] {
  const bytes = new Array<number>(64).fill(0);
  codes.forEach((code, n) => {
    const byte = 32 * floor(n / 128) + (n % 32);
    bytes[byte] = (bytes[byte] ?? 0) + (code + 1) * 4 ** floor((n % 128) / 32);
  });
  return bytes;
}

/** How each block format is laid out. */
export const BLOCKS = {
  F16: { elements: 1, code: undefined, bytes: (_: readonly number[]): number[] => [] },
  Q8_0: {
    elements: 32,
    code: int8Block,
    bytes: (codes: readonly number[]) => codes.map((q) => (q + 256) % 256),
  },
  TQ1_0: { elements: 256, code: ternaryBlock, bytes: tq1Bytes },
  TQ2_0: { elements: 256, code: ternaryBlock, bytes: tq2Bytes },
} as const;

function blocksOf(x: Dense, elements: number): number[][] {
  const blocks = x.data.length / elements;
  return Array.from({ length: blocks }, (_, b) => [...x.data.subarray(b * elements, (b + 1) * elements)]);
}

/** Bytes of a GGUF block format. */
export function encodeBlocks(x: Dense, format: keyof typeof BLOCKS): Dense {
  const { elements, code, bytes } = BLOCKS[format];
  const parts = blocksOf(x, elements).map((block) => {
    if (code === undefined) return pair(toHalf(block[0] ?? 0));
    const { d, codes } = code(block);
    return format === 'Q8_0' ? [...pair(d), ...bytes(codes)] : [...bytes(codes), ...pair(d)];
  });
  const perBlock = { F16: 2, Q8_0: 34, TQ1_0: 54, TQ2_0: 66 }[format];
  const width = (axis(x, -1) / elements) * perBlock;
  const flat = parts.flat();
  return build([...x.shape.slice(0, -1), width], (i) => flat[i] ?? Number.NaN);
}

/** What those bytes stand for. */
export function throughBlocks(x: Dense, format: keyof typeof BLOCKS): Dense {
  const { elements, code } = BLOCKS[format];
  const values = blocksOf(x, elements).flatMap((block) => {
    if (code === undefined) return [toHalf(block[0] ?? 0)];
    const { d, codes } = code(block);
    return codes.map((q) => d * q);
  });
  return build(x.shape, (i) => values[i] ?? Number.NaN);
}

/** Index of the nearest row of c for each row of x. */
export function nearestCentroid(x: Dense, c: Dense): Dense {
  const centroids = Array.from({ length: axis(c, 0) }, (_, j) => rowOf(c, j));
  return build([axis(x, 0)], (i) => {
    const row = rowOf(x, i);
    const distances = centroids.map((centre) =>
      row.reduce((sum, value, d) => sum + (value - (centre[d] ?? 0)) ** 2, 0),
    );
    return distances.indexOf(distances.reduce((least, distance) => min(least, distance), Infinity));
  });
}

/** The mean of the rows of each row's cluster, when row i is `spread`·x plus `distance` times its cluster, i mod k. */
export function clusterMeans(x: Dense, k: number, spread: number, distance: number): Dense {
  const width = axis(x, 1);
  return build(x.shape, (e) => {
    const cluster = floor(e / width) % k;
    let sum = 0;
    let members = 0;
    for (let row = cluster; row < axis(x, 0); row += k) {
      sum += at(x, row * width + (e % width));
      members++;
    }
    return (spread * sum) / members + distance * cluster;
  });
}

/** Values of `width` bits, least significant first. */
export function packBits(x: Dense, width: number): Dense {
  const bits = [...x.data].flatMap((value) =>
    Array.from({ length: width }, (_, bit) => floor(value / 2 ** bit) % 2),
  );
  return build([ceil(bits.length / 8)], (i) =>
    bits.slice(8 * i, 8 * i + 8).reduce((byte, bit, place) => byte + bit * 2 ** place, 0),
  );
}

/** The shift register of 8 bits, feedback from bits 0, 2, 3 and 4. */
function nextState(state: number): number {
  const fed = [0, 2, 3, 4].reduce((parity, bit) => parity ^ (state >> bit), 0) & 1;
  return (state >> 1) | (fed << 7);
}

const BLOCK = 4;

/** Columns of U for a seed of 8 bits and one column: four values. */
function column(seed: number): number[] {
  let state = seed;
  return Array.from({ length: BLOCK }, () => {
    state = nextState(state);
    return (state - 128) / 127;
  });
}

/** SeedLM with K = 8, C = 4, P = 1 and back, by trying every seed. */
export function throughSeedlm(w: Dense): Dense {
  const scale =
    fround(sqrt(w.data.reduce((sum, value) => sum + value * value, 0) / max(1, w.data.length))) || 1;
  const columns = Array.from({ length: 255 }, (_, i) => column(i + 1));
  const values: number[] = [];
  for (let first = 0; first < w.data.length; first += BLOCK) {
    const block = Array.from({ length: BLOCK }, (_, i) => fround((w.data[first + i] ?? 0) / scale));
    let [least, best] = [Infinity, block.map(() => 0)];
    for (const u of columns) {
      const dot = u.reduce((sum, value, i) => sum + value * (block[i] ?? 0), 0);
      const t = dot / u.reduce((sum, value) => sum + value * value, 0);
      if (t === 0) continue;
      const step = 2 ** max(-8, min(7, floor(log2(abs(t))) - 2));
      const q = max(-8, min(7, roundEven(t / step)));
      const fit = u.map((value) => value * q * step);
      const error = fit.reduce((sum, value, i) => sum + (value - (block[i] ?? 0)) ** 2, 0);
      if (error < least) [least, best] = [error, fit];
    }
    values.push(...best.map((value) => value * scale));
  }
  return build(w.shape, (i) => values[i] ?? Number.NaN);
}

/** Hyper-compression and back. */
export function throughHyper(w: Dense, side: number, cells: number, classes: number): Dense {
  const pairs = ceil(w.data.length / 2);
  const counts = [pairs, floor(w.data.length / 2)];
  const centre = counts.map((n, axisOf) => {
    const own = w.data.filter((_, i) => i % 2 === axisOf);
    return n === 0 ? 0 : fround(own.reduce((sum, value) => sum + value, 0) / n);
  });
  const off = w.data.map((value, i) => value - (centre[i % 2] ?? 0));
  const outside = fround(max(0, off.reduce((top, value) => max(top, abs(value)), 0) - side / 2));
  return build(w.shape, (i) => {
    const own = off[i] ?? 0;
    const other = off[i % 2 === 0 ? i + 1 : i - 1] ?? 0;
    const beyond = max(abs(own), abs(other)) - side / 2;
    const ring = beyond <= 0 || outside === 0 ? 0 : min(classes, ceil((beyond / outside) * classes));
    const factor = side / 2 / (side / 2 + (outside / classes) * ring);
    const cell = max(0, min(cells - 1, floor(((own * factor) / side + 0.5) * cells)));
    return (((cell + 0.5) / cells - 0.5) * side) / factor + (centre[i % 2] ?? 0);
  });
}
