import { memoryStats, noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { KvCache } from './kv-cache.js';
import { LlamaModel } from './llama-model.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 61,
  hiddenSize: 48,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 16,
  intermediateSize: 40,
  contextLength: 32,
});
const SHARP = 25; // weights this many times larger than at the start make logits that differ clearly

function sharpModel(): LlamaModel {
  const weights = LlamaModel.init(CONFIG, new Philox(3)).exportWeights();
  for (const [name, values] of weights)
    if (!name.includes('norm')) for (const i of values.keys()) values[i] = (values[i] ?? 0) * SHARP;
  return LlamaModel.fromState(CONFIG, weights);
}

function randomTokens(count: number, seed: number): Int32Array {
  const rng = new Philox(seed);
  return Int32Array.from({ length: count }, () => rng.integer(CONFIG.vocabSize));
}

function logitsOf(model: LlamaModel, ids: Int32Array, batch = 1): Float32Array {
  return noGrad(() => scope(() => model.forward(tensor(ids, [batch, ids.length / batch])).toFloat32Array()));
}

describe('LlamaModel.init()', () => {
  it('is reproducible and draws every tensor from a stream of its own', () => {
    const weights = LlamaModel.init(CONFIG, new Philox(7)).exportWeights();
    expect(LlamaModel.init(CONFIG, new Philox(7)).exportWeights()).toEqual(weights);
    expect(LlamaModel.init(CONFIG, new Philox(8)).exportWeights()).not.toEqual(weights);
    const deeper = LlamaModel.init({ ...CONFIG, numLayers: 3 }, new Philox(7)).exportWeights();
    expect(deeper.get('model.layers.1.mlp.up_proj.weight')).toEqual(
      weights.get('model.layers.1.mlp.up_proj.weight'),
    );
  });

  it('has standard deviation 0.02, residual outputs 0.02 / sqrt(2L), gains 1', () => {
    for (const [name, values] of LlamaModel.init(CONFIG, new Philox(1)).exportWeights()) {
      const rms = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      if (name.includes('norm')) expect(new Set(values)).toEqual(new Set([1]));
      else expect(rms / (/o_proj|down_proj/.test(name) ? 0.01 : 0.02)).toBeCloseTo(1, 0.8);
    }
  });

  it('starts with a loss near ln(vocabulary)', () => {
    const model = LlamaModel.init(CONFIG, new Philox(1));
    const ids = randomTokens(4 * 17, 2);
    const loss = noGrad(() =>
      scope(() => model.loss(tensor(ids.slice(0, 64), [4, 16]), tensor(ids.slice(1, 65), [4, 16])).item()),
    );
    expect(Math.abs(loss - Math.log(CONFIG.vocabSize))).toBeLessThan(0.1);
  });
});

describe('LlamaModel.fromState()', () => {
  it('keeps the weights exactly', () => {
    const model = LlamaModel.init(CONFIG, new Philox(1));
    expect(model.clone().exportWeights()).toEqual(model.exportWeights());
    expect([...model.exportWeights().keys()]).toEqual([...parameterShapes(CONFIG).keys()]);
  });

  it('lists every tensor that is missing, unexpected or of another size', () => {
    const weights = LlamaModel.init(CONFIG, new Philox(1)).exportWeights();
    weights.delete('model.norm.weight');
    weights.set('model.embed_tokens.weight', new Float32Array(3));
    weights.set('extra', new Float32Array(1));
    expect(() => LlamaModel.fromState(CONFIG, weights)).toThrow(
      expect.objectContaining({
        name: 'WeightsMismatchError',
        fieldViolations: [
          expect.objectContaining({ field: 'model.embed_tokens.weight' }),
          { field: 'model.norm.weight', description: 'is missing' },
          expect.objectContaining({ field: 'extra' }),
        ],
      }),
    );
  });
});

describe('LlamaModel.forward()', () => {
  const model = sharpModel();
  afterAll(() => model.dispose());

  it('is causal: logits before a changed token are the same bits', () => {
    const ids = randomTokens(20, 1);
    const before = logitsOf(model, ids);
    ids[12] = ((ids[12] ?? 0) + 1) % CONFIG.vocabSize;
    const after = logitsOf(model, ids);
    const at = 12 * CONFIG.vocabSize;
    expect(after.subarray(0, at)).toEqual(before.subarray(0, at));
    expect(after.subarray(at)).not.toEqual(before.subarray(at));
  });

  it('treats the rows of a batch alone', () => {
    const rows = [randomTokens(16, 1), randomTokens(16, 2)] as const;
    const both = logitsOf(model, Int32Array.of(...rows[0], ...rows[1]), 2);
    expectClose(both, Float32Array.of(...logitsOf(model, rows[0]), ...logitsOf(model, rows[1])), 1e-5);
  });

  it.each([
    ['token by token', [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]],
    ['in pieces', [5, 1, 4, 2]],
  ])('with a cache gives the same logits as the full forward pass (%s)', (_, pieces) => {
    const batch = 2;
    const rows = [randomTokens(12, 4), randomTokens(12, 5)];
    const full = logitsOf(model, Int32Array.of(...rows.flatMap((row) => [...row])), batch);
    const cache = new KvCache(CONFIG, { batch, capacity: 12 });
    const cached = rows.map(() => [] as number[]);
    let at = 0;
    for (const length of pieces) {
      const ids = Int32Array.of(...rows.flatMap((row) => [...row.subarray(at, at + length)]));
      const logits = noGrad(() =>
        scope(() => model.forward(tensor(ids, [batch, length]), { cache }).toFloat32Array()),
      );
      const perRow = logits.length / batch;
      for (const [row, list] of cached.entries())
        list.push(...logits.subarray(row * perRow, (row + 1) * perRow));
      at += length;
    }
    expect(cache.length).toBe(12);
    // One row and many are multiplied by different kernels, whose f32 sums round differently.
    expectClose(Float32Array.of(...cached.flat()), full, 5e-4);
    cache.dispose();
  });

  it('a cache that was reset gives what a new one gives', () => {
    const cache = new KvCache(CONFIG);
    const run = () =>
      noGrad(() =>
        scope(() =>
          model.forward(tensor(randomTokens(9, 6), [1, 9]), { cache, lastOnly: true }).toFloat32Array(),
        ),
      );
    const first = run();
    cache.reset();
    expect(run()).toEqual(first);
    expectClose(first, logitsOf(model, randomTokens(9, 6)).slice(-CONFIG.vocabSize), 1e-5);
    cache.dispose();
  });

  it('throws when tokens do not fit the context or the cache, or have another shape', () => {
    const forward = (ids: Int32Array, shape: number[], cache?: KvCache) =>
      noGrad(() => scope(() => model.forward(tensor(ids, shape), cache ? { cache } : {})));
    expect(() => forward(randomTokens(33, 1), [1, 33])).toThrow(
      expect.objectContaining({ name: 'SequenceTooLongError' }),
    );
    const cache = new KvCache(CONFIG, { capacity: 4 });
    forward(randomTokens(3, 1), [1, 3], cache);
    expect(() => forward(randomTokens(2, 1), [1, 2], cache)).toThrow(/5 tokens .* 4 positions/);
    expect(() => forward(randomTokens(3, 1), [3])).toThrow(
      expect.objectContaining({ name: 'TokenShapeError' }),
    );
    cache.dispose();
  });

  it('keeps of a block only what its gradient needs', () => {
    const liveWith = (numLayers: number): number => {
      const deep = LlamaModel.init({ ...CONFIG, numLayers }, new Philox(1));
      const before = memoryStats().liveTensors;
      return scope(() => {
        deep.forward(tensor(randomTokens(8, 1), [1, 8]));
        const live = memoryStats().liveTensors - before;
        deep.dispose();
        return live;
      });
    };
    // Norms: 2 results, 2 factors; attention: q, k, v, its result twice (heads apart and side by side), log-sums;
    // mlp: gate, up, their product; and the residual stream behind both. Not: q and k before they are rotated,
    // what is added to the stream.
    expect(liveWith(3) - liveWith(2)).toBe(15);
  });

  it('leaves nothing behind', () => {
    logitsOf(model, randomTokens(8, 1));
    const before = memoryStats().liveTensors;
    logitsOf(model, randomTokens(8, 1));
    const copy = model.clone();
    const cache = new KvCache(CONFIG);
    cache.dispose();
    copy.dispose();
    expect(memoryStats().liveTensors).toBe(before);
  });
});

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  const worst = actual.reduce(
    (max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? Number.NaN))),
    0,
  );
  expect(worst).toBeLessThan(tolerance);
}
