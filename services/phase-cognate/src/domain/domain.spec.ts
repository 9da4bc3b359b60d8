import {
  byteTokenizer,
  corpusFromBytes,
  encodeModelFiles,
  LlamaModel,
  memorySource,
  presetConfig,
  readModelParts,
  splitDisjoint,
  titansMag,
  trainBpe,
} from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { baseViolations, fitBaseModel } from '../base-model.js';
import { TrainingDivergedError } from './cognate.errors.js';
import {
  checkCognateConfig,
  cognateConfig,
  estimateCognate,
  modelConfigOf,
  totalSteps,
} from './cognate-config.js';
import { CurveRecorder } from './curves.js';
import { relativeDistance } from './distance.js';
import { planFounders } from './founder-plan.js';
import { encodeData, founderRows, sharedRows } from './founding-data.js';
import { Learner } from './learner.js';
import { rowLengthAt } from './row-schedule.js';

const fields = (value: object) => checkCognateConfig(cognateConfig.parse(value)).map(({ field }) => field);

describe('cognateConfig', () => {
  it('is valid as it comes', () => {
    expect(fields({})).toEqual([]);
    expect(planFounders(cognateConfig.parse({})).map(({ name }) => name)).toEqual([
      'founder-reasoning',
      'founder-memory',
      'founder-speed',
    ]);
  });

  it('checks the rules that span fields, all at once', () => {
    expect(
      fields({
        sequence_length: 512,
        shared_steps: 500,
        steps: 400,
        warmup_steps: 401,
        learning_rate: 1e-4,
        min_learning_rate: 1e-3,
        specialisations: [
          { name: 'a', sequence_length: 300 },
          { name: 'a', arithmetic: 0.5, region: { from: 0.5, to: 0.5, share: 0.5 } },
        ],
      }),
    ).toEqual([
      'sequence_length',
      'specialisations[0].sequence_length',
      'specialisations[1].region.to',
      'specialisations[1]',
      'specialisations[1].name',
      'shared_steps',
      'warmup_steps',
      'min_learning_rate',
    ]);
  });

  it('gives titans-mag a window and a memory, and refuses them for llama', () => {
    const settings = { window: 32, memory: { heads: 3, max_step: 0.2 } };
    expect(fields(settings)).toEqual(['window', 'memory']);
    expect(fields({ architecture: 'titans-mag', ...settings })).toEqual(['memory']);
    const titans = { architecture: 'titans-mag', window: 32, memory: { max_step: 0.2 } };
    expect(fields(titans)).toEqual([]);
    expect(modelConfigOf(cognateConfig.parse(titans))).toMatchObject({
      slidingWindow: 32,
      memory: { heads: 4, depth: 2, expansion: 2, chunkLength: 8, maxStep: 0.2, clipNorm: 1 },
    });
  });

  it('gives models recursion, with or without memory, and counts every run of the blocks', () => {
    const plain = cognateConfig.parse({});
    const config = cognateConfig.parse({ architecture: 'titans-mag', recursion: {} });
    expect(modelConfigOf(config)).toMatchObject({
      recursion: { latentSteps: 2, cycles: 2, supervisionSteps: 4, haltThreshold: 0.95 },
      slidingWindow: 64,
    });
    const { flop, parameters } = estimateCognate(cognateConfig.parse({ recursion: {} }));
    expect(parameters).toBe(estimateCognate(plain).parameters + 257);
    // 24 runs forward, 12 of them backward.
    expect(flop / parameters).toBeCloseTo((96 / 6) * (estimateCognate(plain).flop / (parameters - 257)), -3);
  });

  it('estimates parameters exactly and work from the steps', () => {
    const config = cognateConfig.parse({});
    const model = LlamaModel.init(modelConfigOf(config), new Philox(1));
    expect(estimateCognate(config).parameters).toBe(model.parameterCount());
    model.dispose();
    const twice = cognateConfig.parse({ accumulation: 2 });
    expect(estimateCognate(twice).flop).toBe(2 * estimateCognate(config).flop);
    expect(totalSteps(config)).toBe(config.shared_steps + 3 * (config.steps - config.shared_steps));
  });
});

describe('settings without effect', () => {
  const own = { name: 'own', surprise_weight: 0.7, halt_threshold: 0.9 };
  const specialisations = [own];
  const muon = { muon_learning_rate: 0.01, muon_momentum: 0.9, muon_weight_decay: 0 };
  const ofOwn = ['specialisations[0].surprise_weight', 'specialisations[0].halt_threshold'];

  it('are refused, with what to do', () => {
    expect(fields({ specialisations, ...muon })).toEqual([...Object.keys(muon), ...ofOwn]);
    expect(fields({ specialisations, recursion: {} })).toEqual(ofOwn.slice(0, 1));
    expect(fields({ specialisations, architecture: 'titans-mag' })).toEqual(ofOwn.slice(1));
    expect(checkCognateConfig(cognateConfig.parse({ muon_momentum: 0.9 }))).toEqual([
      {
        field: 'muon_momentum',
        description: 'is 0.9 and has no effect; set optimizer to muon, or leave it out',
      },
    ]);
  });

  it('are accepted where they have one, and where they are as they come', () => {
    const whole = { architecture: 'titans-mag', recursion: {}, optimizer: 'muon' };
    expect(fields({ specialisations, ...muon, ...whole })).toEqual([]);
    const { muon_momentum, specialisations: usual } = cognateConfig.parse({});
    expect(fields({ muon_momentum, specialisations: usual.slice(1) })).toEqual([]);
  });
});

describe('planFounders()', () => {
  it('keeps the tokens of a step, whatever the length of a row', () => {
    const config = cognateConfig.parse({ batch_size: 16, sequence_length: 128 });
    for (const { batchSize, sequenceLength } of planFounders(config))
      expect(batchSize * sequenceLength).toBe(2048);
  });

  it('numbers specialisations that are used again', () => {
    const config = cognateConfig.parse({ count: 3, specialisations: [{ name: 'plain' }, { name: 'long' }] });
    expect(planFounders(config).map(({ name }) => name)).toEqual([
      'founder-plain',
      'founder-long',
      'founder-plain-2',
    ]);
  });
});

describe('rowLengthAt()', () => {
  const curriculum = { sequence_length: 16, steps: 90 };

  it('doubles at even intervals until rows are whole', () => {
    expect([0, 29, 30, 59, 60, 89, 90, 500].map((step) => rowLengthAt(step, 128, curriculum))).toEqual([
      16, 16, 32, 32, 64, 64, 128, 128,
    ]);
    expect([0, 44, 45, 89, 90].map((step) => rowLengthAt(step, 48, curriculum))).toEqual([
      16, 16, 32, 32, 48,
    ]);
  });

  it('leaves rows alone that are as short, and those without a curriculum', () => {
    expect(rowLengthAt(0, 16, curriculum)).toBe(16);
    expect(rowLengthAt(0, 8, curriculum)).toBe(8);
    expect(rowLengthAt(0, 128, undefined)).toBe(128);
  });
});

describe('baseViolations()', () => {
  const wanted = cognateConfig.parse({ tokenizer: 'byte', vocab_size: 257 });
  const base = modelConfigOf(wanted);

  it('accepts a model of the shape, whatever its rotary base', () => {
    expect(baseViolations(wanted, { ...base, ropeTheta: 5e5 }, byteTokenizer())).toEqual([]);
  });

  it('names everything that differs', () => {
    const tokenizer = trainBpe(['abab'.repeat(50)], { vocabSize: 258 });
    const found = titansMag({ ...base, numLayers: 5 }, { window: 8 });
    expect(baseViolations(wanted, found, tokenizer).map(({ field }) => field)).toEqual(
      ['config.numLayers', 'config.slidingWindow', 'config.memory', 'tokenizer'].map(
        (field) => `inputs.base_models[0].${field}`,
      ),
    );
  });
});

describe('fitBaseModel()', () => {
  it('names what is wrong with every file, and with the shape, at once', async () => {
    const wanted = cognateConfig.parse({ tokenizer: 'byte', vocab_size: 257 });
    const model = LlamaModel.init({ ...modelConfigOf(wanted), numLayers: 2 }, new Philox(1));
    const files = encodeModelFiles(model, byteTokenizer());
    model.dispose();
    files.set('tokenizer.json', new TextEncoder().encode('['));
    files.delete('model.safetensors');
    const parts = await readModelParts(memorySource(files));
    expect(() => fitBaseModel(wanted, parts)).toThrow(
      expect.objectContaining({
        reason: 'UNFIT_BASE_MODEL',
        fieldViolations: [
          'inputs.base_models[0]/model.safetensors',
          'inputs.base_models[0]/tokenizer.json',
          'inputs.base_models[0].config.numLayers',
        ].map((field) => expect.objectContaining({ field }) as object),
      }),
    );
  });
});

describe('CurveRecorder', () => {
  it('keeps the same points however often it is interrupted', () => {
    const whole = new CurveRecorder(5000);
    let parts = new CurveRecorder(5000);
    for (let step = 1; step <= 5000; step++) {
      whole.train('a', step, 1 / step);
      if (step % 137 === 0) parts = new CurveRecorder(5000, JSON.parse(JSON.stringify(parts.saved())));
      parts.train('a', step, 1 / step);
    }
    expect(parts.curves()).toEqual(whole.curves());
    expect(whole.saved().length).toBeLessThanOrEqual(402);
    expect(whole.curves()[0]?.points.at(-1)?.[0]).toBe(5000);
  });
});

describe('relativeDistance()', () => {
  const weights = (...values: number[]) => new Map([['w', Float32Array.from(values)]]);

  it('is 0 for equal models, 2 for opposite ones, √2 for orthogonal ones of one size', () => {
    expect(relativeDistance(weights(1, 2), weights(1, 2))).toBe(0);
    expect(relativeDistance(weights(1, 2), weights(-1, -2))).toBe(2);
    expect(relativeDistance(weights(1, 0), weights(0, 1))).toBeCloseTo(Math.SQRT2, 12);
    expect(relativeDistance(weights(0), weights(0))).toBe(0);
  });

  it('does not depend on the order of the tensors', () => {
    const rng = new Philox(2);
    const entries = ['b', 'a', 'c'].map(
      (name) => [name, Float32Array.from({ length: 999 }, () => rng.normal())] as const,
    );
    const other = new Map(entries.map(([name, values]) => [name, values.map((value) => value + 0.1)]));
    expect(relativeDistance(new Map(entries), other)).toBe(
      relativeDistance(new Map(entries.toReversed()), other),
    );
  });
});

describe('Learner', () => {
  const config = cognateConfig.parse({
    tokenizer: 'byte',
    context_length: 32,
    sequence_length: 8,
    batch_size: 2,
    steps: 20,
    shared_steps: 5,
    warmup_steps: 2,
    specialisations: [{ name: 'a', arithmetic: 0.5 }, { name: 'b' }],
  });
  const shape = presetConfig('pico', {
    vocabSize: 257,
    hiddenSize: 32,
    numHeads: 2,
    numKvHeads: 1,
    headDim: 16,
    intermediateSize: 48,
    numLayers: 2,
    contextLength: 32,
  });
  const rng = new Philox(5);
  const bytes = new TextEncoder().encode(Array.from({ length: 300 }, (_, i) => `line ${i * i}\n`).join(''));
  const { splits } = splitDisjoint(corpusFromBytes([{ name: 'a.txt', bytes }]));
  const data = encodeData(splits, byteTokenizer(), config, planFounders(config), rng);
  const begin = () => Learner.begin(shape, sharedRows(data, config, rng), config, rng);

  it.each([
    ['AdamW', config],
    ['Muon', { ...config, optimizer: 'muon' as const }],
    ['rows that get longer', { ...config, curriculum: { sequence_length: 2, steps: 10 } }],
  ])('goes on from its state to the same weights (%s)', (_, config) => {
    const learner = Learner.begin(shape, sharedRows(data, config, rng), config, rng);
    for (let step = 0; step < 5; step++) learner.step(step);
    const saved = learner.state();
    const restored = Learner.restore(shape, saved, sharedRows(data, config, rng), config);
    for (let step = 5; step < 12; step++) expect(restored.step(step)).toBe(learner.step(step));
    expect(restored.state()).toEqual(learner.state());
    learner.dispose();
    restored.dispose();
  });

  it('forks into models that learn from different data', () => {
    const learner = begin();
    learner.step(0);
    const [a, b] = planFounders(config).map((plan) => {
      const fork = Learner.fork(shape, learner.state(), founderRows(data, plan, config, rng), config, 0.5);
      fork.step(1);
      const { weights } = fork.state();
      fork.dispose();
      return weights;
    });
    learner.dispose();
    expect(relativeDistance(a ?? new Map(), b ?? new Map())).toBeGreaterThan(1e-6);
  });

  it('moves hidden matrices by Muon, and embeddings, gains and memories by AdamW', () => {
    const muon = { ...config, optimizer: 'muon' as const };
    const titans = titansMag(shape, { memory: { heads: 2 } });
    const learner = Learner.begin(titans, sharedRows(data, muon, rng), muon, rng);
    learner.step(0);
    const { optimizer } = learner.state();
    const momenta = [...(optimizer.momenta?.keys() ?? [])];
    expect(momenta).toContain('model.layers.0.self_attn.q_proj.weight');
    expect(momenta).toContain('model.layers.1.memory.neural.gate_proj.weight');
    for (const name of [
      'model.embed_tokens.weight',
      'model.norm.weight',
      'model.layers.0.memory.neural.layers.0.weight',
    ])
      expect(optimizer.moments.has(name)).toBe(true);
    expect(momenta.filter((name) => optimizer.moments.has(name))).toEqual([]);
    expect(momenta.length + optimizer.moments.size).toBe(learner.model.parameters().length);
    learner.dispose();
  });

  it('starts from given weights', () => {
    const { weights } = begin().state();
    const learner = Learner.begin(shape, sharedRows(data, config, rng), config, weights);
    expect(learner.state().weights).toEqual(weights);
    learner.dispose();
  });

  it('gives a memory its surprise weight at the fork, and changes nothing else', () => {
    const titans = titansMag(shape, { memory: { heads: 2 } });
    const learner = Learner.begin(titans, sharedRows(data, config, rng), config, rng);
    const before = learner.state();
    const fork = Learner.fork(titans, before, sharedRows(data, config, rng), config, 0.7);
    const after = fork.state().weights;
    const changed = [...before.weights].filter(([name, values]) =>
      values.some((value, i) => value !== after.get(name)?.[i]),
    );
    expect(changed.map(([name]) => name)).toEqual(
      [0, 1].map((layer) => `model.layers.${layer}.memory.neural.gate_proj.bias`),
    );
    const steps = after.get('model.layers.0.memory.neural.gate_proj.bias')?.slice(4) ?? [];
    for (const bias of steps) expect(1 / (1 + Math.exp(-bias))).toBeCloseTo(0.7, 6);
    learner.dispose();
    fork.dispose();
  });

  it('throws TrainingDivergedError when the loss is not a number', () => {
    const learner = begin();
    const { weights, optimizer } = learner.state();
    learner.dispose();
    const broken = new Map([...weights].map(([name, values]) => [name, values.map(() => Number.NaN)]));
    const diverged = Learner.fork(
      shape,
      { weights: broken, optimizer },
      sharedRows(data, config, rng),
      config,
      0.5,
    );
    expect(() => diverged.step(0)).toThrow(TrainingDivergedError);
    diverged.dispose();
  });
});
