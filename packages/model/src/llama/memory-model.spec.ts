import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import { fromHfConfig, toHfConfig } from '../config/hf-config.js';
import { type ModelConfig, presetConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { KvCache } from './kv-cache.js';
import { LlamaModel } from './llama-model.js';
import { RowCaches } from './row-caches.js';

const MEMORY = { heads: 2, depth: 2, expansion: 2, chunkLength: 4, maxStep: 0.5, clipNorm: 5 };
const CONFIG: ModelConfig = presetConfig('pico', {
  ...{ vocabSize: 61, hiddenSize: 32, numLayers: 2, numHeads: 4, numKvHeads: 2, headDim: 8 },
  ...{ intermediateSize: 40, contextLength: 64, slidingWindow: 6, memory: MEMORY },
});
const SHARP = 12; // weights this many times larger than at the start make logits that differ clearly

/** A model with a window and a memory. */
function sharpModel(config = CONFIG): LlamaModel {
  const weights = LlamaModel.init(config, new Philox(3)).exportWeights();
  for (const [name, values] of weights)
    if (!/norm|bias|layers\.\d\.weight/.test(name))
      for (const i of values.keys()) values[i] = (values[i] ?? 0) * SHARP;
  return LlamaModel.fromState(config, weights);
}

function randomTokens(count: number, seed: number): Int32Array {
  const rng = new Philox(seed);
  return Int32Array.from({ length: count }, () => rng.integer(CONFIG.vocabSize));
}

const logitsOf = (model: LlamaModel, ids: Int32Array, cache?: KvCache | RowCaches, batch = 1): Float32Array =>
  noGrad(() =>
    scope(() => model.forward(tensor(ids, [batch, ids.length / batch]), cache && { cache }).toFloat32Array()),
  );

function expectClose(actual: ArrayLike<number>, expected: Float32Array, tolerance = 5e-4): void {
  expect(actual).toHaveLength(expected.length);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (actual[i] ?? NaN))), 0);
  expect(worst).toBeLessThan(tolerance);
}

describe('a model with a window and neural memory', () => {
  const model = sharpModel();
  afterAll(() => model.dispose());

  it('has the parameters that its configuration says, by name and size', () => {
    const shapes = [...parameterShapes(CONFIG)].map(([name, shape]) => [
      name,
      shape.reduce((a, b) => a * b, 1),
    ]);
    const sizes = [...model.exportWeights()].map(([name, values]) => [name, values.length]);
    expect(sizes).toEqual(shapes);
    expect(sizes).toHaveLength(model.namedParameters().size);
  });

  it('starts with a loss near ln(vocabulary)', () => {
    const fresh = LlamaModel.init(CONFIG, new Philox(1));
    const ids = randomTokens(4 * 17, 2);
    const [inputs, targets] = [ids.slice(0, 64), ids.slice(1, 65)];
    const loss = noGrad(() =>
      scope(() => fresh.loss(tensor(inputs, [4, 16]), tensor(targets, [4, 16])).item()),
    );
    expect(Math.abs(loss - Math.log(CONFIG.vocabSize))).toBeLessThan(0.1);
  });

  it('is causal: logits before a changed token are the same bits', () => {
    const ids = randomTokens(20, 1);
    const before = logitsOf(model, ids);
    ids[13] = ((ids[13] ?? 0) + 1) % CONFIG.vocabSize;
    const at = 13 * CONFIG.vocabSize;
    expect(logitsOf(model, ids).subarray(0, at)).toEqual(before.subarray(0, at));
  });

  it('remembers what left the window, which the same model without memory cannot', () => {
    const { memory: _, ...rest } = CONFIG;
    const forgetful = sharpModel({ ...rest, numLayers: 1 });
    const mindful = sharpModel({ ...CONFIG, numLayers: 1 });
    const ids = randomTokens(20, 1);
    const other = Int32Array.from(ids);
    other[2] = ((ids[2] ?? 0) + 1) % CONFIG.vocabSize;
    const last = (of: LlamaModel, tokens: Int32Array) => logitsOf(of, tokens).slice(-CONFIG.vocabSize);
    expect(last(forgetful, other)).toEqual(last(forgetful, ids));
    expect(last(mindful, other)).not.toEqual(last(mindful, ids));
  });

  it.each([
    ['token by token', Array<number>(14).fill(1)],
    ['in pieces that end within a chunk', [5, 1, 6, 2]],
  ])('with a cache gives the logits of the full forward pass (%s)', (_, pieces) => {
    const ids = randomTokens(14, 4);
    const cache = new KvCache(CONFIG, { capacity: 14 });
    for (const round of [1, 2]) {
      let at = 0;
      const logits = pieces.flatMap((length) => {
        at += length;
        return [...logitsOf(model, ids.subarray(at - length, at), cache)];
      });
      expect([round, cache.length]).toEqual([round, 14]);
      expectClose(logits, logitsOf(model, ids));
      cache.reset();
    }
    cache.dispose();
  });

  it('decodes rows of different lengths together as it decodes them alone', () => {
    const rows = [randomTokens(9, 4), randomTokens(5, 5)];
    const next = Int32Array.of(7, 8);
    const caches = rows.map((ids) => {
      const cache = new KvCache(CONFIG, { capacity: 12 });
      logitsOf(model, ids, cache);
      return cache;
    });
    const together = logitsOf(model, next, new RowCaches(caches), 2);
    const alone = rows.flatMap((ids, row) => [
      ...logitsOf(model, Int32Array.of(...ids, next[row] ?? 0)).slice(-CONFIG.vocabSize),
    ]);
    expectClose(together, Float32Array.from(alone));
    expect(() => caches[0]?.rewind(3)).toThrow(/cannot go back/);
    for (const cache of caches) cache.dispose();
  });

  it('is written as what it is, and read back', () => {
    const hf = toHfConfig(CONFIG);
    expect(hf).toMatchObject({ model_type: 'titans_mag', sliding_window: 6, memory: { chunk_length: 4 } });
    expect(fromHfConfig(JSON.parse(JSON.stringify(hf)))).toEqual(CONFIG);
    expect(() => fromHfConfig({ ...hf, model_type: 'llama' })).toThrow(
      expect.objectContaining({
        fieldViolations: ['sliding_window', 'memory'].map(
          (field) => expect.objectContaining({ field }) as object,
        ),
      }),
    );
    const memory = { ...hf.memory, heads: 3, depth: 1 };
    expect(() => fromHfConfig({ ...hf, memory })).toThrow(/memory/);
  });
});
