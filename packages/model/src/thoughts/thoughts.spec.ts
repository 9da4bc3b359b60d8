import {
  backward,
  categorical,
  memoryStats,
  mulScalar,
  noGrad,
  Philox,
  scope,
  tensor,
} from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import { memorySource } from '../files/file-source.js';
import { encodeModelFiles, loadModelFiles } from '../files/model-files.js';
import { resultOf } from '../generation/generate.js';
import { KvCache } from '../llama/kv-cache.js';
import { LlamaModel } from '../llama/llama-model.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { generateThinking } from './generate-thinking.js';
import { MixingHead, mixLogits } from './mixing-head.js';
import { positivePart, rewardsOf } from './reinforce.js';
import { sampleThoughts } from './sample-thoughts.js';
import { scoreThinking } from './score-thinking.js';
import { natsOf, THOUGHT_MARKS, ThinkingModel, talkTargets } from './thinking-model.js';
import { encodeThoughtFiles, loadThinkingModel, THOUGHTS_FILE } from './thought-files.js';
import { thoughtLoss } from './thought-loss.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 23,
  hiddenSize: 16,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  contextLength: 40,
});

/** A model whose predictions differ clearly from place to place. */
function thinkingModel(config = CONFIG, seed = 3): ThinkingModel {
  const rng = new Philox(seed);
  const weights = LlamaModel.init(config, rng).exportWeights();
  for (const [name, values] of weights)
    if (!name.includes('norm')) for (const i of values.keys()) values[i] = (values[i] ?? 0) * 20;
  const marks = Float32Array.from({ length: 3 * config.hiddenSize }, () => rng.normal());
  const model = new ThinkingModel(
    LlamaModel.fromState(config, weights),
    marks,
    new MixingHead(config.hiddenSize, rng.stream('head')),
  );
  const output = model.mixing_head.output.weight;
  output.write(Float32Array.from({ length: output.size }, () => rng.normal()));
  return model;
}

function randomTokens(count: number, seed: number, vocabSize = CONFIG.vocabSize): Int32Array {
  const rng = new Philox(seed);
  return Int32Array.from({ length: count }, () => rng.integer(vocabSize));
}

const [ROWS, LENGTH, THOUGHT, AHEAD] = [2, 7, 4, 3];
const LAYOUT = { rows: ROWS, length: LENGTH, thoughtLength: THOUGHT, ahead: AHEAD };
const SAMPLING = { rows: ROWS, thoughtLength: THOUGHT, temperature: 1 };

let model: ThinkingModel;
beforeEach(() => {
  model = thinkingModel();
});
afterEach(() => model.dispose());

/** Hidden states [S · d] of embeddings after a prefix, by the ordinary causal cache. */
function continued(prefix: Int32Array, marks: (number | { mark: number })[]): Float32Array[] {
  const cache = new KvCache(model.llama.config);
  const logits: Float32Array[] = [];
  const read = (x: ReturnType<ThinkingModel['embed']>): void => {
    const h = model.hidden(x, (layer) => cache.layer(layer));
    cache.advance(x.shape[1] ?? 0);
    const all = model.logits(h).toFloat32Array();
    logits.push(all.slice(-CONFIG.vocabSize));
  };
  noGrad(() =>
    scope(() => {
      read(model.embed(prefix, 1));
      for (const one of marks)
        read(typeof one === 'number' ? model.embed(Int32Array.of(one), 1) : model.mark(one.mark, 1, 1));
    }),
  );
  cache.dispose();
  return logits;
}

/** What the stream of the parallel sampler draws from logits at number `row` of it. */
function drawn(logits: Float32Array, row: number, rng: Philox): number {
  const matrix = new Float32Array((row + 1) * logits.length);
  matrix.set(logits, row * logits.length);
  return scope(
    () => categorical(tensor(matrix, [row + 1, logits.length]), rng).toTypedArray()[row] as number,
  );
}

describe('ThinkingModel', () => {
  it('is not made of a model that does not attend to everything', () => {
    const memory = { heads: 1, depth: 2, expansion: 1, chunkLength: 4, maxStep: 0.1, clipNorm: 1 };
    const llama = LlamaModel.init({ ...model.llama.config, slidingWindow: 4, memory }, new Philox(1));
    expect(() => new ThinkingModel(llama, new Float32Array(0), model.mixing_head)).toThrow(
      expect.objectContaining({
        name: 'InvalidThinkingError',
        fieldViolations: [
          expect.objectContaining({ field: 'memory' }),
          expect.objectContaining({ field: 'slidingWindow' }),
        ],
      }),
    );
    llama.dispose();
  });
});

describe('sampleThoughts()', () => {
  it('draws in parallel what as many ordinary continuations draw one after the other', () => {
    const tokens = randomTokens(ROWS * LENGTH, 1);
    const rng = new Philox(9);
    const thoughts = sampleThoughts(model, tokens, { ...SAMPLING, rng });
    const talk = scope(() => {
      const { thought, policy } = noGrad(() => model.talk(tokens, thoughts, LAYOUT));
      return { thought: thought.toFloat32Array(), policy: policy?.toFloat32Array() ?? new Float32Array() };
    });
    const rowOf = (all: Float32Array, at: number) =>
      all.subarray(at * CONFIG.vocabSize, (at + 1) * CONFIG.vocabSize);
    for (let row = 0; row < ROWS; row++) {
      for (let origin = 0; origin < LENGTH; origin++) {
        const text = tokens.subarray(row * LENGTH, (row + 1) * LENGTH);
        const own = Array.from(
          { length: THOUGHT },
          (_, place) => thoughts[(row * THOUGHT + place) * LENGTH + origin] as number,
        );
        const next = [...text.subarray(origin + 1, origin + AHEAD)];
        const chain = [{ mark: THOUGHT_MARKS.start }, ...own, { mark: THOUGHT_MARKS.end }, ...next];
        const [, ...sequential] = continued(text.slice(0, origin + 1), chain);
        for (const [place, token] of own.entries()) {
          const logits = sequential[place] as Float32Array;
          expect(drawn(logits, row * LENGTH + origin, rng.stream(`token ${place}`))).toBe(token);
          expectClose(rowOf(talk.policy, (row * THOUGHT + place) * LENGTH + origin), logits);
        }
        for (let distance = 0; distance <= next.length; distance++) {
          const logits = sequential[THOUGHT + 1 + distance] as Float32Array;
          expectClose(rowOf(talk.thought, (row * AHEAD + distance) * LENGTH + origin), logits);
        }
      }
    }
  });

  it('sees nothing of the future: later tokens change no bit of an earlier thought or prediction', () => {
    const tokens = randomTokens(LENGTH, 1);
    const later = tokens.map((id, at) => (at < 4 ? id : (id + 5) % CONFIG.vocabSize));
    const run = (ids: Int32Array) => {
      const thoughts = sampleThoughts(model, ids, { ...SAMPLING, rows: 1, rng: new Philox(2) });
      const mixed = noGrad(() =>
        scope(() => model.talk(ids, thoughts, { ...LAYOUT, rows: 1, ahead: 1 }).mixed.toFloat32Array()),
      );
      const places = Array.from({ length: THOUGHT * 4 }, (_, i) => thoughts[(i >> 2) * LENGTH + (i & 3)]);
      return { places, predictions: mixed.slice(0, 4 * CONFIG.vocabSize), all: thoughts };
    };
    const [one, two] = [run(tokens), run(later)];
    expect(two.places).toEqual(one.places);
    expect(two.predictions).toEqual(one.predictions);
    expect(two.all).not.toEqual(one.all);
  });

  it('thinks the likeliest thought at temperature 0, whatever the seed, and other ones at 1', () => {
    const tokens = randomTokens(ROWS * LENGTH, 1);
    const at = (temperature: number, seed: number) =>
      sampleThoughts(model, tokens, { ...SAMPLING, temperature, rng: new Philox(seed) });
    expect(at(0, 1)).toEqual(at(0, 2));
    expect(at(1, 1)).toEqual(at(1, 1));
    expect(at(1, 1)).not.toEqual(at(1, 2));
  });

  it('contains ids of the vocabulary only: marks are none', () => {
    const wild = new Float32Array(3 * CONFIG.hiddenSize).fill(50); // marks that any tied output would prefer
    model.thought_tokens.write(wild);
    const thoughts = sampleThoughts(model, randomTokens(ROWS * LENGTH, 1), {
      ...SAMPLING,
      rng: new Philox(1),
    });
    expect(Math.max(...thoughts)).toBeLessThan(CONFIG.vocabSize);
    expect(Math.min(...thoughts)).toBeGreaterThanOrEqual(0);
  });

  it('stops where it is told to, and leaves nothing behind', () => {
    const before = memoryStats().liveBytes;
    const checkCancelled = (calls = { left: 3 }) => {
      if (--calls.left === 0) throw new Error('enough');
    };
    const calls = { left: 3 };
    const sampling = { ...SAMPLING, rng: new Philox(1), checkCancelled: () => checkCancelled(calls) };
    expect(() => sampleThoughts(model, randomTokens(ROWS * LENGTH, 1), sampling)).toThrow('enough');
    expect(memoryStats().liveBytes).toBe(before);
  });
});

function expectClose(actual: Float32Array, expected: Float32Array): void {
  const size = Math.max(1, ...expected.map(Math.abs));
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] as number))));
  expect(worst / size).toBeLessThan(1e-5);
}

describe('mixLogits()', () => {
  const mix = (weight: number, plain: number[], thought: number[]) =>
    scope(() => [
      ...mixLogits(
        tensor(plain, [1, plain.length]),
        tensor(thought, [1, thought.length]),
        tensor([weight], [1, 1]),
      ).toFloat32Array(),
    ]);

  it('is the interpolation of log-probabilities, renormalised', () => {
    const [plain, thought] = [[0.2, 0.8].map(Math.log), [0.6, 0.4].map(Math.log)];
    const mixed = mix(0.3, plain, thought);
    expect(mixed[0]).toBeCloseTo(-0.84040931, 6);
    expect(Math.exp(mixed[0] ?? 0)).toBeCloseTo(0.43153386, 6);
    const nats = scope(() => natsOf(tensor(mixed, [1, 2]), Int32Array.of(0)).item());
    const mass = 0.2 ** 0.3 * 0.6 ** 0.7 + 0.8 ** 0.3 * 0.4 ** 0.7;
    expect(-nats).toBeCloseTo(-0.84040931 - Math.log(mass), 6);
    // The constant that each row's logits have too many changes nothing.
    const moved = mix(
      0.3,
      plain.map((x) => x + 4),
      thought.map((x) => x - 9),
    );
    expect(scope(() => natsOf(tensor(moved, [1, 2]), Int32Array.of(0)).item())).toBeCloseTo(nats, 5);
  });

  it('is the plain prediction to the bit at weight 1, and that of the thought at weight 0', () => {
    const [plain, thought] = [
      [0.1, -7.3, 2.7],
      [3.3, 0.2, -0.7],
    ];
    expect(mix(1, plain, thought)).toEqual([...Float32Array.from(plain)]);
    expect(mix(0, plain, thought)).toEqual([...Float32Array.from(thought)]);
  });

  it('gives logits of the Llama alone when the head says so', () => {
    const tokens = randomTokens(LENGTH, 4);
    model.mixing_head.output.weight.write(new Float32Array(CONFIG.hiddenSize));
    const logitsAt = (bias: number) => {
      model.mixing_head.output.bias?.write(Float32Array.of(bias));
      const talk = noGrad(() => model.talk(tokens, null, { ...LAYOUT, rows: 1, ahead: 1 }));
      return scope(() => ({
        mixed: talk.mixed.toFloat32Array(),
        plain: talk.plain.toFloat32Array(),
        thought: talk.thought.toFloat32Array(),
      }));
    };
    const ignoring = logitsAt(200); // sigmoid(200) is 1 in f32
    expect(ignoring.mixed).toEqual(ignoring.plain);
    const llama = noGrad(() =>
      scope(() => model.llama.forward(tensor(tokens, [1, LENGTH])).toFloat32Array()),
    );
    expectClose(ignoring.plain, llama);
    const believing = logitsAt(-200);
    expect(believing.mixed).toEqual(believing.thought);
  });
});

describe('rewardsOf()', () => {
  it('are differences from the mean at a place; those above 0 are used', () => {
    const rewards = rewardsOf(Float64Array.of(-2, -1, -3, -1.5), 4);
    expect([...rewards]).toEqual([-0.125, 0.875, -1.125, 0.375]);
    expect([...positivePart(rewards)]).toEqual([0, 0.875, 0, 0.375]);
    const places = rewardsOf(Float64Array.of(1, 5, 3, -5), 2);
    expect([...places]).toEqual([-1, 5, 1, -5]);
  });
});

describe('thoughtLoss()', () => {
  const OPTIONS = {
    thoughts: 2,
    thoughtLength: 1,
    ahead: 2,
    temperature: 1,
    plainWeight: 0.5,
    policyWeight: 1,
  };
  const TINY = { ...CONFIG, vocabSize: 5 };
  const inputs = Int32Array.of(1, 3, 0);
  const targets = Int32Array.of(3, 0, 2);

  /** Gradient of a loss with respect to a parameter. */
  const gradientOf = (tiny: ThinkingModel, name: string, thoughts: Int32Array | null, options = {}) => {
    tiny.zeroGrad();
    scope(() => backward(thoughtLoss(tiny, inputs, targets, 3, thoughts, { ...OPTIONS, ...options }).loss));
    const gradient = tiny.namedParameters().get(name)?.grad?.toFloat32Array().slice();
    if (!gradient) throw new Error(`${name} has no gradient`);
    return gradient;
  };

  it.each(['thought_tokens', 'mixing_head.hidden.weight', 'llama.model.layers.1.self_attn.k_proj.weight'])(
    'has the gradient of finite differences in %s',
    (name) => {
      const tiny = thinkingModel(TINY);
      const parameter = tiny.namedParameters().get(name);
      if (!parameter) throw new Error(name);
      const thoughts = randomTokens(6, 2, 5);
      const gradient = gradientOf(tiny, name, thoughts, { policyWeight: 0 });
      const values = parameter.toFloat32Array().slice();
      const lossAt = (i: number, value: number) => {
        parameter.write(values.map((old, at) => (at === i ? value : old)));
        const options = { ...OPTIONS, policyWeight: 0 };
        return scope(() =>
          noGrad(() => thoughtLoss(tiny, inputs, targets, 3, thoughts, options).loss.item()),
        );
      };
      const picked = [0, 5, 11, 17, 30, 41].filter((i) => i < values.length);
      const found = picked.map((i) => {
        const value = values[i] as number;
        const step = 5e-3;
        return (lossAt(i, value + step) - lossAt(i, value - step)) / (2 * step);
      });
      picked.forEach((i, at) => {
        const difference = found[at] as number;
        expect(Math.abs((gradient[i] as number) - difference)).toBeLessThan(
          4e-3 * Math.max(1, Math.abs(difference)),
        );
      });
      expect(Math.max(...picked.map((i) => Math.abs(gradient[i] as number)))).toBeGreaterThan(1e-4);
      tiny.dispose();
    },
  );

  it('reinforces without bias: its expectation over thoughts is (1 − 1/J) of the gradient of the expected reward', () => {
    // One place, thoughts of one token out of five, pairs of thoughts: everything can be enumerated.
    const tiny = thinkingModel(TINY);
    const [text, next] = [Int32Array.of(1), Int32Array.of(3)];
    const options = { ...OPTIONS, ahead: 1, plainWeight: 0, reward: 'signed' as const };
    const name = 'llama.model.layers.0.self_attn.v_proj.weight';
    const parameter = tiny.namedParameters().get(name);
    if (!parameter) throw new Error(name);
    const policyAt = () =>
      scope(() =>
        noGrad(() => {
          const layout = { rows: 1, length: 1, thoughtLength: 1, ahead: 1 };
          const talk = tiny.talk(text, Int32Array.of(0), layout);
          const logits = talk.policy?.toFloat32Array() ?? new Float32Array();
          const top = Math.max(...logits);
          const weights = [...logits].map((x) => Math.exp(x - top));
          const mass = weights.reduce((a, b) => a + b, 0);
          return weights.map((w) => w / mass);
        }),
      );
    const rewardOf = (thought: number) =>
      scope(() =>
        noGrad(() => {
          const layout = { rows: 1, length: 1, thoughtLength: 1, ahead: 1 };
          return -natsOf(tiny.talk(text, Int32Array.of(thought), layout).mixed, next).item();
        }),
      );
    const policy = policyAt();
    const rewards = policy.map((_, thought) => rewardOf(thought));
    const expected = new Float64Array(parameter.size);
    const gradientFor = (pair: number[], policyWeight: number) => {
      tiny.zeroGrad();
      scope(() => {
        const all = { ...options, policyWeight };
        backward(thoughtLoss(tiny, text, next, 1, Int32Array.from(pair), all).loss);
      });
      return parameter.grad?.toFloat32Array() ?? new Float32Array(parameter.size);
    };
    policy.forEach((p, a) => {
      policy.forEach((q, b) => {
        const [withPolicy, without] = [gradientFor([a, b], 1).slice(), gradientFor([a, b], 0)];
        withPolicy.forEach((value, i) => {
          expected[i] = (expected[i] as number) + p * q * (value - (without[i] as number));
        });
      });
    });
    const values = parameter.toFloat32Array().slice();
    const steepest = [...expected.keys()].sort(
      (a, b) => Math.abs(expected[b] as number) - Math.abs(expected[a] as number),
    );
    for (const i of steepest.slice(0, 4)) {
      const valueAt = (moved: number) => {
        parameter.write(values.map((old, at) => (at === i ? moved : old)));
        return policyAt().reduce((sum, p, thought) => sum + p * (rewards[thought] as number), 0);
      };
      const old = values[i] as number;
      const slope = (valueAt(old + 1e-2) - valueAt(old - 1e-2)) / 2e-2;
      // The loss is minus the mean over both thoughts of r · log p: a half of each, and a half of the baseline.
      const ratio = (expected[i] as number) / (-(1 - 1 / 2) * slope);
      expect(Math.abs(ratio - 1)).toBeLessThan(0.02);
    }
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3);
    tiny.dispose();
  });

  it('gives pauses no reward and all predictions a target within the row', () => {
    const { loss, rewardNats, talkNats, plainNats, plainShare } = scope(() =>
      noGrad(() => {
        const made = thoughtLoss(model, inputs, targets, 3, null, OPTIONS);
        return { ...made, loss: made.loss.item() };
      }),
    );
    expect(rewardNats).toBe(0);
    expect(loss).toBeCloseTo(talkNats + 0.5 * plainNats, 5);
    expect(plainShare).toBeGreaterThan(0);
    expect(plainShare).toBeLessThan(1);
    expect([...talkTargets(targets, { rows: 1, length: 3, thoughtLength: 1, ahead: 2 })]).toEqual([
      3, 0, 2, 0, 2, -100,
    ]);
  });
});

describe('scoreThinking()', () => {
  it('predicts every asked token with and without thoughts, as the model does alone', () => {
    const ids = randomTokens(2 * (LENGTH + 1), 6);
    const rows = [0, 1].map((row) => {
      const part = ids.subarray(row * (LENGTH + 1), (row + 1) * (LENGTH + 1));
      return { inputs: part.slice(0, -1), targets: part.slice(1).map((id, at) => (at === 2 ? -100 : id)) };
    });
    const options = { thoughtLength: THOUGHT, temperature: 0, batchSize: 2, rng: new Philox(1) };
    const points = scoreThinking(model, rows, { ...options, kind: 'thoughts' });
    expect(points.map(({ row }) => row)).toEqual([...Array(6).fill(0), ...Array(6).fill(1)]);
    const pauses = scoreThinking(model, rows, { ...options, kind: 'pause' });
    expect(pauses.map(({ plainNats }) => plainNats)).toEqual(points.map(({ plainNats }) => plainNats));
    expect(pauses.every(({ coherence }) => Number.isNaN(coherence))).toBe(true);
    expect(points.every(({ coherence }) => coherence < 0)).toBe(true);
    const nats = noGrad(() =>
      scope(() => {
        const inputs = tensor(Int32Array.from(rows.flatMap((row) => [...row.inputs])), [2, LENGTH]);
        const logits = model.llama.forward(inputs);
        const targets = Int32Array.from(rows.flatMap((row) => [...row.targets]));
        return [...natsOf(mulScalar(logits, 1), targets).toFloat32Array()].filter(
          (_, at) => targets[at] !== -100,
        );
      }),
    );
    points.forEach(({ plainNats }, at) => {
      expect(plainNats).toBeCloseTo(nats[at] as number, 3);
    });
  });
});

describe('thought files', () => {
  it('bring a model back to the bit, and leave the Llama one that plain tools load', async () => {
    const config = { ...CONFIG, vocabSize: 257, eosTokenId: null, bosTokenId: null };
    const thinking = thinkingModel(config);
    const tokenizer = byteTokenizer();
    const files = new Map([
      ...encodeModelFiles(thinking.llama, tokenizer),
      ...encodeThoughtFiles(thinking, { thought_length: 4, temperature: 0 }),
    ]);
    const loaded = await loadThinkingModel(memorySource(files));
    expect(loaded.thoughts).toEqual({ thought_length: 4, temperature: 0 });
    const values = (one: ThinkingModel) =>
      new Map([...one.namedParameters()].map(([name, parameter]) => [name, parameter.toFloat32Array()]));
    expect(values(loaded.model)).toEqual(values(thinking));
    const plain = await loadModelFiles(memorySource(files));
    expect(plain.model.parameterCount()).toBe(thinking.llama.parameterCount());
    for (const one of [plain.model, loaded.model, thinking]) one.dispose();
  });

  it('are refused with every problem', async () => {
    const config = { ...CONFIG, vocabSize: 257 };
    const thinking = thinkingModel(config);
    const files = new Map([
      ...encodeModelFiles(thinking.llama, byteTokenizer()),
      ...encodeThoughtFiles(thinking, { thought_length: 4, temperature: 0 }),
    ]);
    const other = thinkingModel({ ...config, hiddenSize: 32 });
    const wrong = encodeThoughtFiles(other, { thought_length: 0, temperature: -1 });
    const load = (changed: [string, Uint8Array][]) =>
      loadThinkingModel(memorySource(new Map([...files, ...changed])));
    await expect(load([...wrong])).rejects.toMatchObject({
      fieldViolations: [
        { field: 'thoughts_config.json/thought_length' },
        { field: 'thoughts_config.json/temperature' },
      ],
    });
    await expect(load([[THOUGHTS_FILE, wrong.get(THOUGHTS_FILE) as Uint8Array]])).rejects.toThrow(
      /thoughts\.safetensors does not fit .*thought_tokens: has shape \[3,32\], the model needs \[3,16\]/,
    );
    files.delete(THOUGHTS_FILE);
    await expect(load([])).rejects.toThrow(/has not learnt to think: it has no thoughts\.safetensors/);
    for (const one of [thinking, other]) one.dispose();
  });
});

describe('generateThinking()', () => {
  const config = { ...CONFIG, vocabSize: 257, bosTokenId: null, eosTokenId: null };
  const settings = { maxTokens: 5, temperature: 0, thoughtLength: 3, stopAtEos: false };

  it('chooses the tokens that the parallel predictions name, and forgets its thoughts', async () => {
    const thinking = thinkingModel(config);
    const tokenizer = byteTokenizer();
    const pieces = [];
    const run = generateThinking(thinking, tokenizer, 'ab', settings);
    for await (const piece of run) if (piece.thought) pieces.push(piece);
    expect(pieces).toHaveLength(5);
    const text = [...tokenizer.encode('ab')];
    for (const { token, thought } of pieces) {
      const tokens = Int32Array.from(text);
      const layout = { rows: 1, length: text.length, thoughtLength: 3, ahead: 1 };
      const sampling = { rows: 1, thoughtLength: 3, temperature: 0, rng: new Philox(0) };
      const thoughts = sampleThoughts(thinking, tokens, sampling);
      const last = text.length - 1;
      expect(thought?.tokens).toEqual([0, 1, 2].map((place) => thoughts[place * text.length + last]));
      const { mixed, share } = noGrad(() =>
        scope(() => {
          const talk = thinking.talk(tokens, thoughts, layout);
          return { mixed: talk.mixed.toFloat32Array(), share: talk.weight.toFloat32Array()[last] };
        }),
      );
      const logits = mixed.subarray(last * 257);
      expect(token).toBe(logits.indexOf(Math.max(...logits)));
      expect(thought?.plainShare).toBeCloseTo(share as number, 4);
      text.push(token);
    }
    thinking.dispose();
  });

  it('goes on without thoughts where the context has no room, and refuses bad settings', async () => {
    const thinking = thinkingModel({ ...config, contextLength: 9 });
    const pieces = [];
    for await (const piece of generateThinking(thinking, byteTokenizer(), 'abcd', {
      ...settings,
      maxTokens: 9,
    }))
      pieces.push(piece.thought?.tokens.length ?? 0);
    expect(pieces).toEqual([3, 2, 1, 0, 0, 0]);
    const bad = generateThinking(thinking, byteTokenizer(), 'a', { ...settings, thoughtLength: 0 });
    await expect(resultOf(bad)).rejects.toThrow(/thoughtLength: is 0/);
    thinking.dispose();
  });
});
