import {
  byteTokenizer,
  corpusFromBytes,
  encodeSplit,
  LlamaModel,
  presetConfig,
  splitDisjoint,
  type Task,
  titansMag,
} from '@agentforge/model';
import { memoryStats, Philox } from '@agentforge/tensor';
import { CandidateMeter } from './candidate-meter.js';
import type { Reference } from './domain/early-stop.js';
import { evomergeConfig } from './domain/evomerge-config.js';
import { fitnessOf } from './domain/fitness.js';
import type { Weights } from './domain/layout.js';

const shape = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 16,
  numLayers: 1,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  contextLength: 32,
});
const tokenizer = byteTokenizer();
const fitness = encodeSplit(
  tokenizer,
  splitDisjoint(corpusFromBytes([{ name: 'a.txt', bytes: new TextEncoder().encode(lines()) }])).splits.train,
);
const weights: Weights = (() => {
  const model = LlamaModel.init(shape, new Philox(1));
  const exported = model.exportWeights();
  model.dispose();
  return exported;
})();

function lines(): string {
  return Array.from({ length: 60 }, (_, i) => `line ${i * 37} of the text\n`).join('');
}

function meterOf(tasks: readonly Task[] | null, throwIfAborted = () => {}) {
  const config = evomergeConfig.parse({ fitness_tokens: 256, sequence_length: 16, batch_size: 2 });
  return new CandidateMeter({ config: shape, tokenizer, tasks }, { config, throwIfAborted });
}

const choice = (answer: number): Task => ({
  type: 'choice',
  id: `c${answer}`,
  prompt: 'x',
  choices: ['a', 'b'],
  answer,
});
const question: Task = {
  type: 'generate',
  id: 'q',
  prompt: 'line',
  answer: ['no such answer'],
  stop: ['\n'],
  max_tokens: 3,
  match: 'exact',
};

describe('CandidateMeter', () => {
  it('measures the share of the tasks that are solved, of either kind', async () => {
    const before = memoryStats().liveTensors;
    // One of the two choices is the likelier one.
    expect(await meterOf([choice(0), choice(1)]).taskAccuracy(weights)).toBe(0.5);
    expect(
      await meterOf([choice(0), choice(1), question, { ...question, id: 'r' }]).taskAccuracy(weights),
    ).toBe(0.25);
    // What other files of this process left behind may be collected meanwhile.
    expect(memoryStats().liveTensors).toBeLessThanOrEqual(before);
  });

  it('says nothing of tasks when there are none', async () => {
    expect(await meterOf(null).measure(weights, fitness)).not.toHaveProperty('taskAccuracy');
  });

  it.each([[[choice(0)]], [[question]]])(
    'gives a broken model nothing for its guesses: %j',
    async (tasks) => {
      const broken = new Map([...weights].map(([name, values]) => [name, values.map(() => Number.NaN)]));
      expect(await meterOf(tasks).taskAccuracy(broken)).toBe(0);
    },
  );

  it('stops when it is told to, in the middle of the tasks', async () => {
    let asked = 0;
    const stop = () => {
      asked += 1;
      if (asked === 2) throw new Error('enough');
    };
    await expect(meterOf([question], stop).measure(weights, fitness)).rejects.toThrow('enough');
    expect(asked).toBe(2);
  });

  it.each([
    ['as many', 0.5, true],
    ['more', 0.25, false],
  ])('stops a candidate of high loss that solves %s: %s', async (_, taskAccuracy, isStopped) => {
    const meter = meterOf([choice(0), choice(1)]);
    const parent = await meter.measure(weights, fitness, { notesPrefixes: true });
    const reference = {
      ...parent,
      taskAccuracy,
      prefixes: (parent.prefixes ?? []).map(({ tokens }) => ({ tokens, lossNats: 1 })),
    } as Reference;
    expect(reference.prefixes.length).toBeGreaterThan(0);
    const measured = await meter.measure(weights, fitness, { reference });
    expect(measured.stoppedEarly !== undefined).toBe(isStopped);
    expect(measured.taskAccuracy).toBe(0.5);
  });

  it('gives a candidate whose memories diverge the fitness 0, and goes on', async () => {
    const config = titansMag(shape);
    const settings = evomergeConfig.parse({ sequence_length: 16, batch_size: 2 });
    const meter = new CandidateMeter(
      { config, tokenizer, tasks: [choice(0)] },
      { config: settings, throwIfAborted: () => {} },
    );
    const model = LlamaModel.init(config, new Philox(1));
    const whole: Weights = model.exportWeights();
    model.dispose();
    const name = 'model.layers.0.memory.neural.v_proj.weight';
    const broken = new Map(whole).set(name, new Float32Array(16 * 16).fill(3e38));
    const [sound, diverged] = [await meter.measure(whole, fitness), await meter.measure(broken, fitness)];
    expect(diverged).toMatchObject({ lossNats: Number.NaN, parameters: sound.parameters, taskAccuracy: 0 });
    expect(fitnessOf(diverged, sound, settings.fitness_weights)).toBe(0);
    expect(fitnessOf(sound, sound, settings.fitness_weights)).toBeGreaterThan(0);
  });
});
