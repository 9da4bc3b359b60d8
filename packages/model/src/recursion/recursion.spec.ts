import {
  AdamW,
  backward,
  decayGroups,
  mul,
  noGrad,
  Philox,
  scope,
  sum,
  type Tensor,
  tensor,
} from '@agentforge/tensor';
import { fromHfConfig, toHfConfig } from '../config/hf-config.js';
import { type ModelConfig, presetConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { titansMag } from '../config/titans-mag.js';
import { generateText } from '../generation/generate.js';
import { generateBatch } from '../generation/generate-batch.js';
import { KvCache } from '../llama/kv-cache.js';
import { LlamaModel } from '../llama/llama-model.js';
import { RowCaches } from '../llama/row-caches.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { captureTrainStep } from '../training/captured-train-step.js';
import { trainStep } from '../training/train-step.js';
import { superviseDeeply } from './deep-supervision.js';
import { HaltingHead, haltingLoss, type Ponder } from './halting.js';
import { superviseOnce } from './recursive-reasoner.js';

const RECURSION = { latentSteps: 2, cycles: 2, supervisionSteps: 3, haltThreshold: 0.5 };
const CONFIG: ModelConfig = presetConfig('pico', {
  ...{ vocabSize: 61, hiddenSize: 32, numLayers: 2, numHeads: 4, numKvHeads: 2, headDim: 8 },
  ...{ intermediateSize: 40, contextLength: 64, recursion: RECURSION },
});
const SHARP = 12; // weights this many times larger than at the start make logits that differ clearly

/** A model whose halting head has an opinion: half of its positions are above even odds. */
function sharpModel(config = CONFIG): LlamaModel {
  const weights = LlamaModel.init(config, new Philox(3)).exportWeights();
  const rng = new Philox(4);
  for (const [name, values] of weights) {
    if (name === 'recursion.halt.weight') for (const i of values.keys()) values[i] = 0.3 * rng.normal();
    else if (name === 'recursion.halt.bias') values.fill(0);
    else if (!/norm|bias|layers\.\d\.weight/.test(name))
      for (const i of values.keys()) values[i] = (values[i] ?? 0) * SHARP;
  }
  return LlamaModel.fromState(config, weights);
}

const withRecursion = (changes: Partial<typeof RECURSION>, config = CONFIG): ModelConfig => ({
  ...config,
  recursion: { ...RECURSION, ...changes },
});

function randomTokens(count: number, seed: number): Int32Array {
  const rng = new Philox(seed);
  return Int32Array.from({ length: count }, () => rng.integer(CONFIG.vocabSize));
}

function run(model: LlamaModel, ids: Int32Array, cache?: KvCache | RowCaches, batch = 1) {
  const ponders: Ponder[] = [];
  const logits = noGrad(() =>
    scope(() =>
      model
        .forward(tensor(ids, [batch, ids.length / batch]), {
          ...(cache && { cache }),
          onPonder: (ponder) => ponders.push(ponder),
        })
        .toFloat32Array(),
    ),
  );
  return { logits, ponder: ponders[0] as Ponder };
}

function expectClose(actual: ArrayLike<number>, expected: Float32Array, tolerance = 1e-3): void {
  expect(actual).toHaveLength(expected.length);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (actual[i] ?? NaN))), 0);
  expect(worst).toBeLessThan(tolerance);
}

describe('a model with recursion', () => {
  const model = sharpModel();
  afterAll(() => model.dispose());

  it('has the parameters that its configuration says, in the order of the file', () => {
    const sizes = [...parameterShapes(CONFIG)].map(([name, shape]) => [
      name,
      shape.reduce((a, b) => a * b, 1),
    ]);
    expect([...model.exportWeights()].map(([name, values]) => [name, values.length])).toEqual(sizes);
    expect(sizes).toHaveLength(model.namedParameters().size);
  });

  it('with one step and one cycle is the plain forward of its net, run by hand', () => {
    const once = LlamaModel.fromState(
      withRecursion({ latentSteps: 1, cycles: 1, supervisionSteps: 1 }),
      model.exportWeights(),
    );
    const ids = randomTokens(9, 1);
    const byHand = noGrad(() =>
      scope(() => {
        const { embed_tokens, layers, norm } = once.model;
        const net = (x: Tensor) => norm.forward(layers.reduce((h, block) => block.forward(h), x));
        const x = embed_tokens.forward(tensor(ids, [1, 9]));
        const scaled = tensor(
          x.toFloat32Array().map((value) => value * Math.sqrt(32)),
          [1, 9, 32],
        );
        return once.predict(net(net(scaled))).toFloat32Array();
      }),
    );
    const { logits, ponder } = run(once, ids);
    expectClose(logits, byHand, 1e-5);
    expect(ponder.meanSteps).toBe(1);
    once.dispose();
  });

  it('is causal: logits before a changed token are the same bits, whenever it halts', () => {
    const ids = randomTokens(20, 1);
    const before = run(model, ids).logits;
    ids[13] = ((ids[13] ?? 0) + 1) % CONFIG.vocabSize;
    const at = 13 * CONFIG.vocabSize;
    const after = run(model, ids).logits;
    expect(after.subarray(0, at)).toEqual(before.subarray(0, at));
    expect(after.subarray(at)).not.toEqual(before.subarray(at));
  });

  it('ponders longer the surer it has to be, and never longer than it may', () => {
    const ids = randomTokens(64, 2);
    const ponders = [0.001, 0.3, 0.5, 0.7, 0.999].map((haltThreshold) => {
      const other = LlamaModel.fromState(withRecursion({ haltThreshold }), model.exportWeights());
      const { ponder } = run(other, ids);
      other.dispose();
      return ponder;
    });
    const steps = ponders.map(({ meanSteps }) => meanSteps);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps[0]).toBe(1);
    expect(steps[2]).toBeGreaterThan(1);
    expect(steps[2]).toBeLessThan(3);
    expect(steps.at(-1)).toBe(3);
    const shares = ponders.map(({ haltedShare }) => haltedShare);
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
  });

  it('takes fewer steps when asked to, and refuses what it does not have', () => {
    const ids = tensor(randomTokens(8, 2), [1, 8]);
    const fewer = model.reasoningFor(2);
    const ownCache = new KvCache(fewer.config, { capacity: 8 });
    noGrad(() =>
      scope(() => {
        expect(model.forward(ids, { steps: 2 }).toFloat32Array()).toEqual(
          fewer.forward(ids).toFloat32Array(),
        );
        expectClose(
          fewer.forward(ids, { cache: ownCache }).toFloat32Array(),
          model.forward(ids, { steps: 2 }).toFloat32Array(),
        );
      }),
    );
    for (const steps of [0, 4, 1.5]) expect(() => model.forward(ids, { steps })).toThrow(/steps is/);
    for (const steps of [0, 4, 1.5]) expect(() => model.reasoningFor(steps)).toThrow(/steps is/);
    expect(run(fewer, randomTokens(64, 2)).ponder.meanSteps).toBeLessThanOrEqual(2);
    const cache = new KvCache(CONFIG, { capacity: 8 });
    expect(() => model.forward(ids, { steps: 2, cache })).toThrow(/with a cache/);
    cache.dispose();
    ownCache.dispose();
    fewer.dispose();
    ids.dispose();
  });

  it.each([
    ['alone', CONFIG],
    ['beside a window and a neural memory', titansMag(CONFIG, { window: 6, memory: { expansion: 1 } })],
  ])('with a cache gives the logits of the full forward pass (%s)', (_, config) => {
    const own = config === CONFIG ? model : sharpModel(config);
    const ids = randomTokens(14, 4);
    const cache = new KvCache(config, { capacity: 14 });
    let at = 0;
    const logits = [5, 1, 6, 2].flatMap((length) => {
      at += length;
      return [...run(own, ids.subarray(at - length, at), cache).logits];
    });
    expect(cache.length).toBe(14);
    expectClose(logits, run(own, ids).logits);
    cache.dispose();
    if (own !== model) own.dispose();
  });

  it('decodes rows of different lengths together as it decodes them alone', () => {
    const rows = [randomTokens(9, 4), randomTokens(5, 5)];
    const caches = rows.map((ids) => {
      const cache = new KvCache(CONFIG, { capacity: 12 });
      run(model, ids, cache);
      return cache;
    });
    const together = run(model, Int32Array.of(7, 8), new RowCaches(caches), 2).logits;
    const alone = rows.flatMap((ids, row) => [
      ...run(model, Int32Array.of(...ids, 7 + row)).logits.slice(-CONFIG.vocabSize),
    ]);
    expectClose(together, Float32Array.from(alone));
    for (const cache of caches) cache.dispose();
  });

  it('generates text, one prompt or several', async () => {
    const own = LlamaModel.init(presetConfig('pico', { ...CONFIG, vocabSize: 257 }), new Philox(5));
    const options = { maxTokens: 5, temperature: 0, stopAtEos: false };
    const { tokens } = await generateText(own, byteTokenizer(), 'ab', options);
    expect(tokens).toHaveLength(5);
    const many: number[][] = [[], []];
    for await (const { prompt, token } of generateBatch(own, byteTokenizer(), ['ab', 'b'], options))
      many[prompt]?.push(token);
    expect(many[0]).toEqual(tokens);
    own.dispose();
  });

  it('is written as what it is, and read back', () => {
    const hf = toHfConfig(CONFIG);
    expect(hf).toMatchObject({
      model_type: 'recursive_llama',
      recursion: { latent_steps: 2, halt_threshold: 0.5 },
    });
    expect(fromHfConfig(JSON.parse(JSON.stringify(hf)))).toEqual(CONFIG);
    for (const model_type of ['llama', 'titans_mag'])
      expect(() => fromHfConfig({ ...hf, model_type })).toThrow(/recursion: is no part|recursion is no part/);
  });

  it('learns: deep supervision lowers the loss of every step', () => {
    const own = LlamaModel.init(CONFIG, new Philox(6));
    const optimizer = new AdamW(decayGroups(own, 0), { lr: 5e-3 });
    const [inputs, targets] = [randomTokens(24, 7), randomTokens(24, 8)];
    const batch = { inputs, targets, batchSize: 2, length: 12, bytes: 24 };
    const losses = Array.from({ length: 40 }, () => trainStep(own, optimizer, batch).loss);
    expect(losses[0]).toBeCloseTo(Math.log(CONFIG.vocabSize), 0);
    expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] ?? 0));
    expect(() => captureTrainStep(own, optimizer, { batchSize: 2, length: 12 })).toThrow(/recursion/);
    optimizer.dispose();
    own.dispose();
  });
});

describe('superviseOnce()', () => {
  const config = { latentSteps: 2, cycles: 3, supervisionSteps: 1, haltThreshold: 0.5 };

  it('runs the net T (n + 1) times, with a gradient through the last cycle only', () => {
    const factor = tensor([2]).keep();
    factor.requiresGrad = true;
    const calls: number[] = [];
    const graphs: boolean[] = [];
    scope(() => {
      const net = (x: Tensor, call: number): Tensor => {
        calls.push(call);
        const y = scope(() => (x.shape.length === 1 ? mul(x, factor) : x));
        graphs.push(y.node !== null);
        return y;
      };
      superviseOnce(net, tensor([1]), null, config, 10);
    });
    expect(calls).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18]);
    expect(graphs).toEqual([false, false, false, false, false, false, true, true, true]);
    factor.dispose();
  });

  it('lets no gradient into the state before it', () => {
    scope(() => {
      const state = tensor([1, 2], [1, 1, 2]);
      state.requiresGrad = true;
      const x = tensor([3, 4], [1, 1, 2]);
      x.requiresGrad = true;
      const net = (h: Tensor) => h;
      const { answer } = superviseOnce(net, x, { answer: state, latent: state }, { ...config, cycles: 1 }, 0);
      backward(sum(answer));
      expect(state.grad).toBeNull();
      expect(x.grad?.toFloat32Array()).toEqual(Float32Array.of(2, 2));
    });
  });
});

describe('halting', () => {
  it('loses the binary cross entropy, over the positions that count', () => {
    scope(() => {
      const loss = haltingLoss(
        tensor([2, -1, 50, -60]),
        [true, true, false, false],
        [true, true, false, true],
      );
      const nats = [-Math.log(1 / (1 + Math.exp(-2))), -Math.log(1 / (1 + Math.E)), 0];
      expect(loss.item()).toBeCloseTo(nats.reduce((a, b) => a + b) / 3, 6);
    });
  });

  it('moves a threshold to another without changing what passes', () => {
    const head = new HaltingHead(2);
    head.moveThreshold(0.9, 0.5);
    expect(head.halt.bias?.item()).toBeCloseTo(-5 - Math.log(9), 5);
    head.dispose();
  });

  it('needs a model with recursion', () => {
    const plain = LlamaModel.init(
      presetConfig('pico', { ...CONFIG, recursion: undefined } as Partial<ModelConfig>),
      new Philox(1),
    );
    expect(() => superviseDeeply(plain, Int32Array.of(1), Int32Array.of(1), [1, 1], 1)).toThrow(
      /no recursion/,
    );
    plain.dispose();
  });
});
