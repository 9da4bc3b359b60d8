import {
  autocast,
  backward,
  concat,
  gradCheck,
  mul,
  noGrad,
  Philox,
  type Precision,
  scope,
  slice,
  sum,
  type Tensor,
  tensor,
  uniform,
} from '@agentforge/tensor';
import type { MemoryConfig } from '../config/memory-config.js';
import { presetConfig } from '../config/model-config.js';
import { llamaInitializers } from '../llama/initialize.js';
import { type MemoryState, NeuralMemory } from './neural-memory.js';

const WIDTH = 8;
const CONFIG: MemoryConfig = {
  ...{ heads: 2, depth: 2, expansion: 2, chunkLength: 4, maxStep: 0.5, clipNorm: 10 },
};

function memoryOf(config: Partial<MemoryConfig> = {}, seed = 1): NeuralMemory {
  const init = llamaInitializers(presetConfig('pico'), new Philox(seed));
  const memory = new NeuralMemory({ ...CONFIG, ...config }, WIDTH, WIDTH, 'memory', init);
  const rng = new Philox(seed + 100);
  for (const [name, weight] of memory.namedParameters())
    if (!/norm|bias/.test(name)) weight.write(uniform(rng, weight.shape, -0.6, 0.6).toFloat32Array());
  return memory;
}

const tokens = (length: number, seed = 5, batch = 2) =>
  uniform(new Philox(seed), [batch, length, WIDTH], -1, 1);

/** What is read when a sequence comes in segments. */
function inSegments(memory: NeuralMemory, x: Tensor, lengths: readonly number[]): Tensor {
  let state: MemoryState | undefined;
  let from = 0;
  const reads = lengths.map((length) => {
    const { read, after } = memory.forward(slice(x, 1, from, from + length), state);
    state = after;
    from += length;
    return read;
  });
  return concat(reads, 1);
}

/** Largest difference, relative to the largest value. */
function worst(a: Tensor, b: Tensor): number {
  const [x, y] = [a.toFloat32Array(), b.toFloat32Array()];
  expect(x).toHaveLength(y.length);
  const largest = y.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return x.reduce((most, value, i) => Math.max(most, Math.abs(value - (y[i] ?? Number.NaN))), 0) / largest;
}

describe('NeuralMemory', () => {
  it.each([
    ['in two halves', [8, 6]],
    ['in segments that end within a chunk', [3, 6, 5]],
    ['token by token', Array<number>(14).fill(1)],
  ])('reads a sequence %s as in one pass', (_, lengths) => {
    noGrad(() =>
      scope(() => {
        const memory = memoryOf();
        const x = tokens(14);
        expect(worst(inSegments(memory, x, lengths), memory.forward(x).read)).toBeLessThan(1e-5);
      }),
    );
  });

  it('reads another thing than a memory that learns nothing', () => {
    noGrad(() =>
      scope(() => {
        const memory = memoryOf();
        const still = memoryOf({ maxStep: 0 });
        expect(worst(memory.forward(tokens(14)).read, still.forward(tokens(14)).read)).toBeGreaterThan(0.01);
      }),
    );
  });

  it('treats the rows of a batch alone', () => {
    noGrad(() =>
      scope(() => {
        const memory = memoryOf();
        const x = tokens(9);
        const rows = [0, 1].map((row) => memory.forward(slice(x, 0, row, row + 1)).read);
        expect(worst(concat(rows, 0), memory.forward(x).read)).toBeLessThan(1e-5);
      }),
    );
  });

  it('has the gradients of its finite differences, in the tokens and in every parameter', () => {
    const memory = memoryOf({ chunkLength: 2 });
    const parameters = memory.parameters();
    const fn = (x: Tensor) => memory.forward(x).read;
    const result = gradCheck(fn as (...x: Tensor[]) => Tensor, [tokens(5, 6, 1), ...parameters]);
    expect(result.worst).toBeLessThan(1e-2);
  });

  it('gives every parameter a gradient', () => {
    const memory = memoryOf();
    scope(() => backward(sum(memory.forward(tokens(10)).read)));
    for (const [name, { grad }] of memory.namedParameters())
      expect([name, grad?.toFloat32Array().some((value) => value !== 0)]).toEqual([name, true]);
  });

  it('learns in f32 where products are rounded to bf16', () => {
    const memory = memoryOf();
    // Multiples of 1/8 below 4 are bf16 already: the projections are the same, so that every difference is the memory's own.
    const coarse = (x: Tensor): Float32Array => x.toFloat32Array().map((value) => Math.round(value * 8) / 8);
    for (const [name, weight] of memory.namedParameters())
      if (/_proj/.test(name)) weight.write(coarse(weight));
    const x = tensor(coarse(tokens(14)), [2, 14, WIDTH]);
    const learned = (precision: Precision) => {
      memory.zeroGrad();
      const read = scope(() =>
        autocast(precision, () => {
          const found = memory.forward(x).read;
          const values = found.toFloat32Array();
          backward(sum(mul(found, found)));
          return values;
        }),
      );
      const grads = memory.layers.map(({ weight }) => weight.grad?.toFloat32Array() ?? new Float32Array());
      return [read, ...grads].map((values) => tensor(values));
    };
    const exact = learned('f32');
    learned('bf16').forEach((rounded, i) => {
      expect(worst(rounded, exact[i] as Tensor)).toBeLessThan(1e-6);
    });
  });

  it('says which memory diverged, and what to lower', () => {
    const memory = memoryOf();
    const { weight } = memory.v_proj;
    weight.write(new Float32Array(weight.size).fill(3e38));
    expect(() => noGrad(() => scope(() => memory.forward(tokens(8))))).toThrow(
      expect.objectContaining({
        name: 'MemoryDivergedError',
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/^memory diverged.*memory\.maxStep \(0\.5\)/) as string,
      }),
    );
  });
});
