import { MEDIA_TYPES } from '@agentforge/artifacts';
import { FailureClass, type StepTask } from '@agentforge/contracts';
import {
  byteTokenizer,
  encodeModelFiles,
  LlamaModel,
  loadModelFiles,
  type ModelConfig,
  memorySource,
  presetConfig,
} from '@agentforge/model';
import { PhaseHost } from '@agentforge/phase-runtime';
import {
  digestsOfResumedWork,
  digestsOfWork,
  eventually,
  PhaseBench,
} from '@agentforge/phase-runtime/testing';
import { Philox } from '@agentforge/tensor';
import type { JsonObject } from '@bufbuild/protobuf';
import { cognatePhase } from '../src/cognate.phase.js';
import { createFounders } from '../src/create-founders.js';
import { cognateConfig } from '../src/domain/cognate-config.js';
import { relativeDistance } from '../src/domain/distance.js';
import { SMALL_CONFIG, SMALL_RECURSION, SMALL_TITANS, smallText } from './small-run.js';

/** Real training, on machines that may be busy: ms. */
const SLOW = 240_000;

const MAIN = new URL('../dist/main.js', import.meta.url);

let bench: PhaseBench;

beforeEach(async () => {
  bench = await PhaseBench.open(cognatePhase);
});

afterEach(async () => {
  await bench.close();
});

async function submit(config: JsonObject = SMALL_CONFIG, text = smallText()): Promise<StepTask> {
  const corpus = await bench.putCorpus(text);
  return bench.submit(config, { seed: 7n, inputs: [{ port: 'corpus', artifacts: [corpus] }] });
}

describe('phase-cognate', () => {
  it.each([
    ['llama', SMALL_CONFIG, 300],
    ['titans-mag', SMALL_TITANS, 100],
  ] as const)(
    'creates models that differ, load, and have learnt (%s)',
    async (architecture, small, sentences) => {
      await bench.startService();
      const result = await bench.result(await submit(small, smallText(sentences)));
      expect(result.outcome).toBe('created');
      const [models, report] = result.outputs;
      expect(models?.artifacts.map(({ name }) => name)).toEqual([
        'founder-reasoning',
        'founder-memory',
        'founder-speed',
      ]);
      const metric = (name: string, split: string, subject: string) =>
        result.metrics.find((one) => one.name === name && one.split === split && one.subject === subject)
          ?.value;
      const entropy = metric('unigram_entropy', 'fitness', '') ?? 0;
      for (const { name, digest } of models?.artifacts ?? []) {
        expect(metric('loss', 'fitness', name)).toBeLessThan(entropy + 1);
        for (const split of ['train', 'fitness', 'report'])
          expect(metric('bits_per_byte', split, name)).toBeGreaterThan(0);
        const files = new Map<string, Uint8Array>();
        for (const { path } of (await bench.store.getManifest(digest)).files) {
          files.set(path, Uint8Array.from(await bench.store.readFile(digest, path)));
        }
        const { config, model } = await loadModelFiles(memorySource(files));
        expect(config.vocabSize).toBe(300);
        expect(config.memory !== undefined).toBe(architecture === 'titans-mag');
        expect(model.parameterCount()).toBe(metric('parameters', '', name));
        model.dispose();
      }
      for (const pair of ['founder-memory|founder-reasoning', 'founder-memory|founder-speed']) {
        expect(metric('pairwise_distance', '', pair)).toBeGreaterThan(1e-3);
      }
      const json = (await bench.store.readJson(report?.artifacts[0]?.digest ?? '')) as {
        curves: { series: string; subject: string; points: [number, number][] }[];
      };
      expect(json).toMatchObject({
        phase: 'cognate',
        outcome: 'created',
        seed: '7',
        data: { held_out_13gram_overlap: 0 },
      });
      expect(json.curves.filter(({ series }) => series === 'loss').map(({ subject }) => subject)).toEqual([
        'shared',
        'founder-reasoning',
        'founder-memory',
        'founder-speed',
      ]);
      const shared = json.curves[0]?.points ?? [];
      expect(shared.at(-1)?.[1]).toBeLessThan(shared[0]?.[1] ?? 0);
    },
    SLOW,
  );

  it.each([
    // While the shared steps are computed, at the last step of a model, and while the second one is evaluated.
    ['llama', SMALL_CONFIG, 150, [4, 16, 26]],
    ['titans-mag', { ...SMALL_TITANS, steps: 7, shared_steps: 4, count: 2 }, 100, [2, 6]],
    ['recursion', SMALL_RECURSION, 100, [6]],
  ])(
    'gives the same bytes whenever it is stopped and goes on (%s)',
    async (_, small, sentences, releases) => {
      const corpus = await bench.putCorpus(smallText(sentences));
      const test = {
        bench,
        work: createFounders,
        config: cognateConfig.parse(small),
        seed: 7n,
        inputs: [{ port: 'corpus', artifacts: [corpus] }],
      };
      const whole = await digestsOfWork(test);
      expect(whole).toHaveLength(1 + cognateConfig.parse(small).count);
      for (const releaseAt of releases) {
        expect(await digestsOfResumedWork(test, releaseAt)).toEqual(whole);
      }
    },
    SLOW,
  );

  it(
    'starts from a base model, and refuses one of another shape with every reason',
    async () => {
      await bench.startService();
      const putBase = async (preset: ModelConfig) => {
        const model = LlamaModel.init(preset, new Philox(3));
        const files = [];
        for (const [path, bytes] of encodeModelFiles(model, byteTokenizer()))
          files.push({ path, ...(await bench.store.put(bytes)) });
        model.dispose();
        return bench.store.putManifest(
          { files },
          { name: 'base', type: 'model', mediaType: MEDIA_TYPES.model },
        );
      };
      const corpus = await bench.putCorpus(smallText());
      const start = async (config: JsonObject, preset: ModelConfig) =>
        bench.submit(config, {
          seed: 7n,
          inputs: [
            { port: 'corpus', artifacts: [corpus] },
            { port: 'base_models', artifacts: [await putBase(preset)] },
          ],
        });
      const config = {
        ...SMALL_CONFIG,
        tokenizer: 'byte',
        vocab_size: 257,
        count: 1,
        steps: 4,
        shared_steps: 2,
        learning_rate: 1e-8,
        min_learning_rate: 0,
      };
      const base = presetConfig('pico', { vocabSize: 257, contextLength: 32, ropeTheta: 500 });
      const result = await bench.result(await start(config, base));
      const digest = result.outputs[0]?.artifacts[0]?.digest ?? '';
      const files = new Map<string, Uint8Array>();
      for (const { path } of (await bench.store.getManifest(digest)).files)
        files.set(path, Uint8Array.from(await bench.store.readFile(digest, path)));
      const { config: shape, model } = await loadModelFiles(memorySource(files));
      const first = LlamaModel.init(base, new Philox(3));
      expect(shape).toEqual(base);
      const distance = relativeDistance(model.exportWeights(), first.exportWeights());
      expect(distance).toBeGreaterThan(0);
      expect(distance).toBeLessThan(1e-4);
      for (const one of [model, first]) one.dispose();
      const { failure } = await bench.report(
        await start(config, presetConfig('pico', { vocabSize: 300, numLayers: 2, contextLength: 32 })),
        'failed',
      );
      expect(failure).toMatchObject({ failureClass: FailureClass.PERMANENT });
      expect(failure?.message).toMatch(/config\.vocabSize is 300.*config\.numLayers is 2/);
    },
    SLOW,
  );

  it(
    'says how long positions reasoned, by the threshold of each model',
    async () => {
      await bench.startService();
      const { metrics, outputs } = await bench.result(await submit(SMALL_RECURSION, smallText(150)));
      const ofFitness = (name: string, subject: string) =>
        metrics.find((one) => one.name === name && one.split === 'fitness' && one.subject === subject)?.value;
      expect(ofFitness('ponder_steps', 'founder-reasoning')).toBe(2);
      expect(ofFitness('halted_share', 'founder-reasoning')).toBe(0);
      expect(ofFitness('ponder_steps', 'founder-speed')).toBeLessThan(2);
      expect(ofFitness('halted_share', 'founder-speed')).toBeGreaterThan(0);
      const configs = await Promise.all(
        (outputs[0]?.artifacts ?? []).map(({ digest }) => bench.store.readFile(digest, 'config.json')),
      );
      expect(Buffer.from(configs[0] ?? []).equals(Buffer.from(configs[1] ?? [1]))).toBe(true);
    },
    SLOW,
  );

  it(
    'gives the same bytes after its process was killed',
    async () => {
      const config = { ...SMALL_CONFIG, steps: 24, shared_steps: 12 };
      const child = bench.startProcess(MAIN);
      const task = await submit(config);
      await eventually(() => bench.kinds(task).includes('checkpointed'));
      child.kill('SIGKILL');
      await bench.startService();
      const digests = await bench.digests(task);
      const starts = bench.reports.filter(({ payload }) => payload.case === 'started');
      expect(starts).toHaveLength(2);
      expect(await bench.digests(await submit(config))).toEqual(digests);
    },
    SLOW,
  );

  it(
    'stops within two seconds when it is cancelled',
    async () => {
      const service = await bench.startService();
      const task = await submit({ ...SMALL_CONFIG, steps: 100_000 });
      await bench.report(task, 'started');
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const cancelledAt = performance.now();
      service.get(PhaseHost).tasks.cancel(task.attemptId);
      await bench.report(task, 'cancelled');
      expect(performance.now() - cancelledAt).toBeLessThan(2000);
    },
    SLOW,
  );

  it.each([
    ['a corpus smaller than one batch', SMALL_CONFIG, 'Too short.\n', /tokens/],
    ['a binary corpus', SMALL_CONFIG, '\u0000\u0001\u0002'.repeat(5000), /corpus/],
    ['an empty corpus', SMALL_CONFIG, ' \n', /corpus/],
  ])(
    'refuses %s for good',
    async (_, config, text, message) => {
      await bench.startService();
      const task = await submit(config, text);
      const { failure } = await bench.report(task, 'failed');
      expect(failure).toMatchObject({ failureClass: FailureClass.PERMANENT });
      expect(failure?.message).toMatch(message);
    },
    SLOW,
  );
});
