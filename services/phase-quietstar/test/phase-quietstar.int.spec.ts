import { type ArtifactRef, FailureClass, type StepResult, type StepTask } from '@agentforge/contracts';
import { loadModelFiles, loadThinkingModel, memorySource } from '@agentforge/model';
import { PhaseHost } from '@agentforge/phase-runtime';
import {
  digestsOfResumedWork,
  digestsOfWork,
  eventually,
  PhaseBench,
} from '@agentforge/phase-runtime/testing';
import type { PhaseContext } from '@agentforge/phase-runtime/worker';
import type { JsonObject } from '@bufbuild/protobuf';
import { type QuietstarConfig, quietstarConfig } from '../src/domain/quietstar-config.js';
import { deliver, learnToThink } from '../src/learn-to-think.js';
import { quietstarPhase } from '../src/quietstar.phase.js';
import { Thinking } from '../src/thinking.js';
import { readInputs } from '../src/thinking-inputs.js';
import { putTasks, putTrainedModel, SMALL_CONFIG, TINY, text } from './small-run.js';

/** Real training, on machines that may be busy: ms. */
const SLOW = 240_000;

const MAIN = new URL('../dist/main.js', import.meta.url);

let bench: PhaseBench;
let model: ArtifactRef;
let corpus: ArtifactRef;

beforeEach(async () => {
  bench = await PhaseBench.open(quietstarPhase);
  model = await putTrainedModel(bench.store);
  corpus = await bench.putCorpus(text());
});

afterEach(async () => {
  await bench.close();
});

function inputsOf(tasks?: ArtifactRef) {
  return [
    { port: 'model', artifacts: [model] },
    { port: 'corpus', artifacts: [corpus] },
    ...(tasks ? [{ port: 'tasks', artifacts: [tasks] }] : []),
  ];
}

function submit(config: JsonObject = SMALL_CONFIG, tasks?: ArtifactRef, fallback = ''): Promise<StepTask> {
  return bench.submit(config, { seed: 5n, fallback, inputs: inputsOf(tasks) });
}

function metric({ metrics }: StepResult, name: string, subject = ''): number {
  return metrics.find((one) => one.name === name && one.subject === subject)?.value ?? Number.NaN;
}

async function filesOf(digest: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { path } of (await bench.store.getManifest(digest)).files) {
    files.set(path, Uint8Array.from(await bench.store.readFile(digest, path)));
  }
  return files;
}

describe('phase-quietstar', () => {
  it(
    'hands the input model on, unchanged, when thoughts gain nothing',
    async () => {
      await bench.startService();
      // No thought is as sensible as this asks for.
      const result = await bench.result(await submit({ ...SMALL_CONFIG, min_correlation: 1 }));
      expect(result.outcome).toBe('no_gain');
      const [handedOn, report] = result.outputs;
      expect(handedOn?.artifacts[0]?.digest).toBe(model.digest);
      for (const subject of ['input', 'thoughts', 'thoughts-removed', 'pause']) {
        expect(metric(result, 'loss', subject)).toBeGreaterThan(0);
        expect(metric(result, 'bits_per_byte', subject)).toBeGreaterThan(0);
        expect(metric(result, 'accuracy', subject)).toBeGreaterThan(0);
      }
      const gain = metric(result, 'loss', 'pause') - metric(result, 'loss', 'thoughts');
      expect(metric(result, 'gain')).toBeCloseTo(gain, 9);
      expect(metric(result, 'gain_low')).toBeLessThan(metric(result, 'gain_high'));
      expect(metric(result, 'ablation')).toBeCloseTo(
        metric(result, 'accuracy', 'thoughts') - metric(result, 'accuracy', 'thoughts-removed'),
        9,
      );
      const json = (await bench.store.readJson(report?.artifacts[0]?.digest ?? '')) as {
        data: { judged_by: { data: string; tokens: number } };
        curves: { series: string; subject: string; points: [number, number][] }[];
      };
      expect(json).toMatchObject({
        phase: 'quietstar',
        outcome: 'no_gain',
        seed: '5',
        data: { judged_by: { data: 'report split', tokens: 256 }, held_out_13gram_overlap: 0 },
      });
      const names = json.curves.map(({ series, subject }) => `${series} ${subject}`);
      expect(names).toEqual(
        ['thoughts', 'pause'].flatMap((arm) => [
          `loss ${arm}`,
          `loss/plain ${arm}`,
          `plain_share ${arm}`,
          ...(arm === 'thoughts' ? ['reward thoughts'] : []),
          `loss/fitness ${arm}`,
        ]),
      );
      // Both arms saw the same first batch with the same, untrained model.
      const first = (name: string) => json.curves[names.indexOf(name)]?.points[0]?.[1];
      expect(first('loss/plain thoughts')).toBeCloseTo(first('loss/plain pause') ?? 0, 5);
    },
    SLOW,
  );

  it(
    'hands on a model that thinks, and that plain tools load, when all tests hold',
    async () => {
      const config = quietstarConfig.parse(SMALL_CONFIG);
      const work = async (context: PhaseContext<QuietstarConfig>) => {
        const inputs = await readInputs(context);
        const thought = await new Thinking(context, inputs).run();
        return deliver(context, inputs, { outcome: 'improved', metrics: [], thought });
      };
      const [improved = ''] = await digestsOfWork({ bench, work, config, seed: 5n, inputs: inputsOf() });
      expect(improved).not.toBe(model.digest);
      const files = await filesOf(improved);
      const thinking = await loadThinkingModel(memorySource(files));
      expect(thinking.thoughts).toEqual({ thought_length: 3, temperature: 0 });
      const plain = await loadModelFiles(memorySource(files));
      expect(plain.config).toEqual(TINY);
      for (const loaded of [thinking.model, plain.model]) loaded.dispose();
    },
    SLOW,
  );

  it(
    'is judged by tasks where there are some, without those that the corpus gives away',
    async () => {
      await bench.startService();
      const known = { prompt: 'The keeper counted the lamps in year ', answer: '0.' };
      const tasks = [1, 2, 3, 4].map((i) => ({ prompt: `${i} + ${i} =`, answer: ` ${2 * i}` }));
      const result = await bench.result(
        await submit(SMALL_CONFIG, await putTasks(bench.store, [...tasks, known])),
      );
      for (const subject of ['input', 'thoughts', 'thoughts-removed', 'pause']) {
        expect(metric(result, 'task_accuracy', subject)).toBeGreaterThanOrEqual(0);
        expect(metric(result, 'answer_loss', subject)).toBeGreaterThan(0);
      }
      const gain = metric(result, 'answer_loss', 'pause') - metric(result, 'answer_loss', 'thoughts');
      expect(metric(result, 'gain')).toBeCloseTo(gain, 9);
      const report = result.outputs[1]?.artifacts[0]?.digest ?? '';
      expect(await bench.store.readJson(report)).toMatchObject({
        data: { judged_by: { data: 'tasks', tasks: 4, tokens: 12 }, tasks_left_out: 1 },
      });
    },
    SLOW,
  );

  it(
    'hands the input model on as a fallback',
    async () => {
      await bench.startService();
      const result = await bench.result(await submit(SMALL_CONFIG, undefined, 'unchanged-model'));
      expect(result.outcome).toBe('fallback');
      expect(result.outputs[0]?.artifacts[0]?.digest).toBe(model.digest);
      expect(result.metrics.map(({ name }) => name)).toEqual(['parameters']);
    },
    SLOW,
  );

  it(
    'gives the same bytes whenever it is stopped and goes on',
    async () => {
      const tasks = await putTasks(bench.store, [{ prompt: 'a', answer: 'b' }]);
      const test = {
        bench,
        work: learnToThink,
        config: quietstarConfig.parse(SMALL_CONFIG),
        seed: 5n,
        inputs: inputsOf(tasks),
      };
      const whole = await digestsOfWork(test);
      // In the middle of each arm, at the end of the first, and while text and tasks judge.
      for (const releaseAt of [4, 7, 10, 15, 31]) {
        expect(await digestsOfResumedWork(test, releaseAt)).toEqual(whole);
      }
    },
    SLOW,
  );

  it(
    'gives the same bytes after its process was killed',
    async () => {
      const config = { ...SMALL_CONFIG, steps: 60 };
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
      await bench.report(task, 'checkpointed');
      const cancelledAt = performance.now();
      service.get(PhaseHost).tasks.cancel(task.attemptId);
      await bench.report(task, 'cancelled');
      expect(performance.now() - cancelledAt).toBeLessThan(2000);
    },
    SLOW,
  );

  it(
    'refuses for good what nothing can be learnt from, with every field',
    async () => {
      await bench.startService();
      const refused = async (config: JsonObject, tasks?: ArtifactRef) => {
        const { failure } = await bench.report(await submit({ ...SMALL_CONFIG, ...config }, tasks), 'failed');
        expect(failure?.failureClass).toBe(FailureClass.PERMANENT);
        return failure;
      };
      const long = await putTasks(bench.store, [{ prompt: 'x'.repeat(90), answer: 'y' }]);
      const tooLong = await refused({ sequence_length: 61 }, long);
      expect(tooLong?.reason).toBe('THOUGHTS_TOO_LONG');
      expect(tooLong?.fieldViolations.map(({ field }) => field)).toEqual([
        'config.sequence_length',
        'inputs.tasks',
      ]);
      const given = await putTasks(bench.store, [{ prompt: 'The keeper counted the lamps', answer: ' in' }]);
      // A stop string ends an answer: a line break does not follow " in" anywhere, so this task is not known.
      expect((await refused({ sequence_length: 61 }, given))?.fieldViolations).toHaveLength(1);
      const known = await putTasks(bench.store, [
        { prompt: 'The keeper counted the lamps in year ', answer: '0.' },
      ]);
      expect((await refused({}, known))?.reason).toBe('TASKS_KNOWN');
      corpus = await bench.putCorpus('Too short.\n');
      expect((await refused({}))?.message).toMatch(/tokens/);
    },
    SLOW,
  );
});
