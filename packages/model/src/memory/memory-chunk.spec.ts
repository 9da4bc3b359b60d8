import { concat, gradCheck, Philox, scope, slice, type Tensor, tensor, uniform } from '@agentforge/tensor';
import { endOfChunk, learnChunk, type MemoryGates, type MemoryWeights, recall } from './memory-chunk.js';

const NEVER = 1e30;

/** What a memory of numbers does, one token after another, as the paper writes it. */
class PlainMemory {
  readonly weights: number[][][];
  readonly momentum: number[][][];

  /** Memory n of several. */
  constructor(memory: MemoryWeights, n = 0) {
    const matrix = (x: Tensor): number[][] => {
      const [, height = 0] = x.shape;
      return rows(x).slice(n * height, (n + 1) * height);
    };
    this.weights = memory.weights.map(matrix);
    this.momentum = memory.momentum.map(matrix);
  }

  forward(x: readonly number[]): { inputs: number[][]; sums: number[][]; out: number[] } {
    const inputs: number[][] = [];
    const sums: number[][] = [];
    let y = [...x];
    this.weights.forEach((layer, l) => {
      if (l > 0) y = y.map((value) => value / (1 + Math.exp(-value)));
      inputs.push(y);
      y = layer.map((row) => row.reduce((total, w, i) => total + w * (y[i] ?? 0), 0));
      sums.push(y);
    });
    return { inputs, sums, out: y };
  }

  gradient(k: readonly number[], v: readonly number[]): { layers: number[][][]; norm: number } {
    const { inputs, sums, out } = this.forward(k);
    let error = out.map((value, i) => 2 * (value - (v[i] ?? 0)));
    const layers: number[][][] = [];
    for (let l = this.weights.length - 1; l >= 0; l--) {
      const input = inputs[l] ?? [];
      layers.unshift(error.map((e) => input.map((x) => e * x)));
      if (l === 0) break;
      error = (sums[l - 1] ?? []).map((a, i) => {
        const s = 1 / (1 + Math.exp(-a));
        const back = error.reduce((total, e, o) => total + e * (this.weights[l]?.[o]?.[i] ?? 0), 0);
        return back * s * (1 + a * (1 - s));
      });
    }
    return { layers, norm: Math.sqrt(layers.flat(2).reduce((total, g) => total + g * g, 0)) };
  }

  learn(gradient: readonly number[][][], alpha: number, eta: number, theta: number): void {
    const each = (to: number[][][], value: (l: number, o: number, i: number) => number): number[][][] =>
      to.map((layer, l) => layer.map((row, o) => row.map((_, i) => value(l, o, i))));
    const of = (x: readonly number[][][], l: number, o: number, i: number): number => x[l]?.[o]?.[i] ?? 0;
    const { weights, momentum } = this;
    const surprise = each(momentum, (...at) => eta * of(momentum, ...at) - theta * of(gradient, ...at));
    const kept = each(weights, (...at) => (1 - alpha) * of(weights, ...at) + of(surprise, ...at));
    momentum.splice(0, momentum.length, ...surprise);
    weights.splice(0, weights.length, ...kept);
  }
}

interface Tokens {
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly queries: Tensor;
  readonly gates: MemoryGates;
}

const N = 2;
const D = 3;
const HIDDEN = 5;

function randomTokens(length: number, rng: Philox): Tokens {
  const vectors = () => uniform(rng, [N, length, D], -1, 1);
  const gate = (low: number, high: number) => uniform(rng, [N, length, 1], low, high);
  return {
    ...{ keys: vectors(), values: vectors(), queries: vectors() },
    gates: { decay: gate(0, 0.3), momentum: gate(0.2, 0.95), step: gate(0, 0.2) },
  };
}

function part({ keys, values, queries, gates }: Tokens, from: number, to: number): Tokens {
  const cut = (x: Tensor) => slice(x, 1, from, to);
  return {
    ...{ keys: cut(keys), values: cut(values), queries: cut(queries) },
    gates: { decay: cut(gates.decay), momentum: cut(gates.momentum), step: cut(gates.step) },
  };
}

function start(layers: readonly (readonly [number, number])[], rng: Philox): MemoryWeights {
  return {
    weights: layers.map(([out, into]) => uniform(rng, [N, out, into], -0.7, 0.7)),
    momentum: layers.map(([out, into]) => uniform(rng, [N, out, into], -0.1, 0.1)),
  };
}

/** Reads of a sequence, learned in chunks of a size. */
function run(memory: MemoryWeights, tokens: Tokens, size: number, maxNorm = NEVER) {
  const reads: Tensor[] = [];
  let state = memory;
  const length = tokens.keys.shape[1] ?? 0;
  for (let from = 0; from < length; from += size) {
    const { keys, values, queries, gates } = part(tokens, from, Math.min(from + size, length));
    const chunk = learnChunk(state, keys, values, gates, maxNorm);
    reads.push(recall(chunk, queries));
    state = endOfChunk(chunk);
  }
  return { reads: concat(reads, 1), state };
}

const rows = (x: Tensor): number[][] => {
  const width = x.shape.at(-1) ?? 1;
  const flat = [...x.toFloat32Array()];
  return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
};

function expectClose(actual: Iterable<number>, expected: Iterable<number>, tolerance: number): void {
  const [a, b] = [[...actual], [...expected]];
  expect(a).toHaveLength(b.length);
  const worst = Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));
  expect(worst).toBeLessThan(tolerance);
}

describe('a memory that learns in chunks', () => {
  it('follows the published linear example token by token', () => {
    scope(() => {
      const zero = {
        weights: [tensor([0, 0, 0, 0], [1, 2, 2])],
        momentum: [tensor([0, 0, 0, 0], [1, 2, 2])],
      };
      const one = (value: number) => tensor([value], [1, 1, 1]);
      const gates = { decay: one(0.01), momentum: one(0.9), step: one(0.1) };
      const pair = (values: number[]) => tensor(values, [1, 1, 2]);
      let memory: MemoryWeights = zero;
      const seen = [
        [
          [1, 0],
          [2, 1],
          [0.4, 0, 0.2, 0],
        ],
        [
          [0.6, 0.8],
          [1, -1],
          [0.8472, 0.1216, 0.2436, -0.1792],
        ],
        [
          [0, 1],
          [0.5, 0.5],
          [1.244808, 0.305504, 0.282204, -0.202848],
        ],
      ] as const;
      for (const [k, v, weights] of seen) {
        memory = endOfChunk(learnChunk(memory, pair([...k]), pair([...v]), gates, NEVER));
        expectClose(memory.weights[0]?.toFloat32Array() ?? [], weights, 1e-6);
      }
    });
  });

  it.each([
    ['one layer', [[D, D]]],
    [
      'two layers',
      [
        [HIDDEN, D],
        [D, HIDDEN],
      ],
    ],
    [
      'three layers',
      [
        [HIDDEN, D],
        [4, HIDDEN],
        [D, 4],
      ],
    ],
  ] as const)('of one token is the sequential rule (%s)', (_, layers) => {
    scope(() => {
      const rng = new Philox(1);
      const memory = start(layers, rng);
      const tokens = randomTokens(9, rng);
      const { reads, state } = run(memory, tokens, 1, 0.9);
      for (let n = 0; n < N; n++) {
        const plain = new PlainMemory(memory, n);
        for (let t = 0; t < 9; t++) {
          const of = (x: Tensor) => rows(x)[n * 9 + t] ?? [];
          const { layers: gradient, norm } = plain.gradient(of(tokens.keys), of(tokens.values));
          const [alpha = 0] = of(tokens.gates.decay);
          const [eta = 0] = of(tokens.gates.momentum);
          const [theta = 0] = of(tokens.gates.step);
          plain.learn(gradient, alpha, eta, theta * Math.min(1, 0.9 / norm));
          expectClose(of(reads), plain.forward(of(tokens.queries)).out, 2e-5);
        }
        const learned = new PlainMemory(state, n);
        expectClose(learned.weights.flat(2), plain.weights.flat(2), 2e-5);
        expectClose(learned.momentum.flat(2), plain.momentum.flat(2), 2e-5);
      }
    });
  });

  it('takes gradients at the start of the chunk, and everything else token by token', () => {
    scope(() => {
      const rng = new Philox(2);
      const memory = start(
        [
          [HIDDEN, D],
          [D, HIDDEN],
        ],
        rng,
      );
      const tokens = randomTokens(6, rng);
      const chunk = learnChunk(memory, tokens.keys, tokens.values, tokens.gates, NEVER);
      const reads = recall(chunk, tokens.queries);
      const atStart = new PlainMemory(memory);
      const plain = new PlainMemory(memory);
      for (let t = 0; t < 6; t++) {
        const of = (x: Tensor) => rows(x)[t] ?? [];
        const { layers } = atStart.gradient(of(tokens.keys), of(tokens.values));
        const gates = [tokens.gates.decay, tokens.gates.momentum, tokens.gates.step];
        const [alpha = 0, eta = 0, theta = 0] = gates.map((gate) => of(gate)[0]);
        plain.learn(layers, alpha, eta, theta);
        expectClose(of(reads), plain.forward(of(tokens.queries)).out, 2e-5);
      }
      expectClose(new PlainMemory(endOfChunk(chunk)).weights.flat(2), plain.weights.flat(2), 2e-5);
    });
  });

  it('reads the tokens of a part of the chunk as it reads them all', () => {
    scope(() => {
      const rng = new Philox(3);
      const memory = start(
        [
          [HIDDEN, D],
          [D, HIDDEN],
        ],
        rng,
      );
      const { keys, values, queries, gates } = randomTokens(8, rng);
      const chunk = learnChunk(memory, keys, values, gates, 1);
      const all = slice(recall(chunk, queries), 1, 5, 8);
      const some = recall(chunk, slice(queries, 1, 5, 8), 5);
      expectClose(some.toFloat32Array(), all.toFloat32Array(), 1e-6);
    });
  });

  it('does not know later tokens', () => {
    scope(() => {
      const rng = new Philox(4);
      const memory = start(
        [
          [HIDDEN, D],
          [D, HIDDEN],
        ],
        rng,
      );
      const tokens = randomTokens(8, rng);
      const later = randomTokens(8, rng);
      const mixed = (a: Tensor, b: Tensor) => concat([slice(a, 1, 0, 5), slice(b, 1, 5, 8)], 1);
      const other: Tokens = {
        keys: mixed(tokens.keys, later.keys),
        values: mixed(tokens.values, later.values),
        queries: tokens.queries,
        gates: {
          decay: mixed(tokens.gates.decay, later.gates.decay),
          momentum: mixed(tokens.gates.momentum, later.gates.momentum),
          step: mixed(tokens.gates.step, later.gates.step),
        },
      };
      const early = (x: Tokens) => slice(run(memory, x, 8).reads, 1, 0, 5).toFloat32Array();
      expect(early(other)).toEqual(early(tokens));
    });
  });

  it('has the gradients of its finite differences', () => {
    const rng = new Philox(5);
    const memory = start(
      [
        [4, D],
        [D, 4],
      ],
      rng,
    );
    const { keys, values, queries, gates } = randomTokens(4, rng);
    const inputs = [...memory.weights, keys, values, queries, gates.decay, gates.momentum, gates.step];
    const fn = (
      w1: Tensor,
      w2: Tensor,
      k: Tensor,
      v: Tensor,
      q: Tensor,
      decay: Tensor,
      eta: Tensor,
      step: Tensor,
    ) => {
      const state = { weights: [w1, w2], momentum: memory.momentum };
      return run(state, { keys: k, values: v, queries: q, gates: { decay, momentum: eta, step } }, 2, 1.5)
        .reads;
    };
    expect(gradCheck(fn as (...x: Tensor[]) => Tensor, inputs).worst).toBeLessThan(5e-3);
  });
});
