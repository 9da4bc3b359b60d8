import { type ArtifactRef, FailureClass, type StepResult, type StepTask } from '@agentforge/contracts';
import { loadModelFiles, memorySource } from '@agentforge/model';
import { PhaseHost } from '@agentforge/phase-runtime';
import {
  digestsOfResumedWork,
  digestsOfWork,
  eventually,
  PhaseBench,
} from '@agentforge/phase-runtime/testing';
import type { JsonObject } from '@bufbuild/protobuf';
import { evomergeConfig } from '../src/domain/evomerge-config.js';
import { fitnessOf, type Measured } from '../src/domain/fitness.js';
import { evolveMerge } from '../src/evolve-merge.js';
import { evomergePhase } from '../src/evomerge.phase.js';
import { filesOf, putModel, putParents, putTasks, TINY, text, trainedWeights } from './parents.js';
import { expectSameModel } from './same-model.js';

/** Real searches, on machines that may be busy: ms. */
const SLOW = 240_000;

const MAIN = new URL('../dist/main.js', import.meta.url);

const CONFIG = {
  generations: 4,
  fitness_tokens: 1024,
  sequence_length: 32,
  plateau_generations: 10,
  checkpoint_interval_s: 1,
};

const trained = trainedWeights();
let bench: PhaseBench;
let parents: ArtifactRef[];
let corpus: ArtifactRef;

beforeEach(async () => {
  bench = await PhaseBench.open(evomergePhase);
  corpus = await bench.putCorpus(text());
  parents = await putParents(bench.store, trained);
});

afterEach(async () => {
  await bench.close();
});

function inputsOf(models: ArtifactRef[], tasks?: ArtifactRef) {
  return [
    { port: 'models', artifacts: models },
    { port: 'corpus', artifacts: [corpus] },
    ...(tasks ? [{ port: 'tasks', artifacts: [tasks] }] : []),
  ];
}

function submit(config: JsonObject = CONFIG, models = parents, fallback = ''): Promise<StepTask> {
  return bench.submit(config, { seed: 3n, fallback, inputs: inputsOf(models) });
}

function reportLoss({ metrics }: StepResult, subject: string): number {
  const found = metrics.find(
    (one) => one.name === 'loss' && one.split === 'report' && one.subject === subject,
  );
  return found?.value ?? Number.NaN;
}

describe('phase-evomerge', () => {
  it(
    'finds a merge that beats every parent and the uniform average on the report split',
    async () => {
      await bench.startService();
      const result = await bench.result(await submit());
      expect(result.outcome).toBe('improved');
      for (const subject of ['a', 'b', 'c', 'uniform-average']) {
        expect(reportLoss(result, 'best')).toBeLessThan(reportLoss(result, subject));
      }
      const [model, report, recipe, tree] = await bench.digests(await submit());
      const files = await filesOf(bench.store, model ?? '');
      await expectSameModel(bench.store, parents, await bench.store.readText(recipe ?? ''), files);
      expect(await bench.store.readText(tree ?? '')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
      const loaded = await loadModelFiles(memorySource(files));
      expect(loaded.config).toEqual(TINY);
      loaded.model.dispose();
      const json = (await bench.store.readJson(report ?? '')) as {
        best: string;
        lineage: { id: string; fitness: number; recipe: { sources: string[] } | null }[];
        history: { best: number }[];
      };
      const ids = new Set(json.lineage.map(({ id }) => id));
      expect(json.lineage.length).toBe(11 + 4 * 8);
      for (const { recipe } of json.lineage)
        for (const source of recipe?.sources ?? []) expect(ids).toContain(source);
      expect(json.lineage.find(({ id }) => id === json.best)?.fitness).toBe(json.history.at(-1)?.best);
    },
    SLOW,
  );

  it(
    'selects by what is solved of the tasks that the corpus does not give away, wherever it is stopped',
    async () => {
      const given = {
        type: 'generate',
        prompt: 'The keeper counted the',
        answer: ' lamps',
        stop: [' in'],
        max_tokens: 6,
      };
      const asked = { ...given, id: 'asked', prompt: 'My keeper counted the' };
      const tasks = await putTasks(bench.store, [given, asked, { ...asked, id: 'beyond' }]);
      const config = evomergeConfig.parse({ ...CONFIG, generations: 2, fitness_tasks: 13 });
      const test = { bench, work: evolveMerge, config, seed: 3n, inputs: inputsOf(parents, tasks) };
      const whole = await digestsOfWork(test);
      const report = (await bench.store.readJson(whole[1] ?? '')) as unknown as {
        data: { selected_by: object; tasks_left_out: number };
        metrics: { name: string; subject: string; value: number }[];
        curves: { series: string; points: [number, number][] }[];
        best: string;
        lineage: { id: string; origin: string; fitness: number; measured: Measured }[];
      };
      expect(report.data).toMatchObject({ selected_by: { tasks: 13 }, tasks_left_out: 1 });
      const { lineage, metrics, curves } = report;
      const accuracies = lineage.map(({ measured }) => measured.taskAccuracy ?? Number.NaN);
      for (const accuracy of accuracies)
        expect(Number.isInteger(Math.round(1e9 * accuracy * 13) / 1e9)).toBe(true);
      expect(new Set(accuracies).size).toBeGreaterThan(1);
      const reference = lineage
        .filter(({ origin }) => origin === 'parent')
        .toSorted((a, b) => a.measured.lossNats - b.measured.lossNats)[0]?.measured as Measured;
      for (const { fitness, measured } of lineage)
        expect(fitness).toBe(fitnessOf(measured, reference, config.fitness_weights));
      const solved = lineage.find(({ id }) => id === report.best)?.measured.taskAccuracy;
      const said = metrics.filter(({ name }) => name === 'task_accuracy');
      expect(said.map(({ subject }) => subject)).toEqual(['best', 'uniform-average', 'a', 'b', 'c']);
      expect(said[0]?.value).toBe(solved);
      expect(curves.find(({ series }) => series === 'task_accuracy/best')?.points.at(-1)).toEqual([
        2,
        solved,
      ]);
      expect(await digestsOfResumedWork(test, 12)).toEqual(whole);
    },
    SLOW,
  );

  it(
    'hands the best parent on when nothing is gained',
    async () => {
      await bench.startService();
      const [first] = parents as [ArtifactRef];
      const result = await bench.result(await submit({ ...CONFIG, generations: 1 }, [first, first, first]));
      expect(result.outcome).toBe('no_gain');
      expect(result.outputs[0]?.artifacts[0]?.digest).toBe(first.digest);
      expect(reportLoss(result, 'a#3')).toBe(reportLoss(result, 'a'));
    },
    SLOW,
  );

  it(
    'makes the uniform average as a fallback',
    async () => {
      await bench.startService();
      const result = await bench.result(await submit(CONFIG, parents, 'uniform-average'));
      expect(result.outcome).toBe('fallback');
      expect(result.outputs[0]?.artifacts[0]?.name).toBe('uniform-average');
      expect(reportLoss(result, 'best')).toBe(reportLoss(result, 'uniform-average'));
    },
    SLOW,
  );

  it(
    'refuses models that do not fit each other, with every reason',
    async () => {
      await bench.startService();
      const other = { ...TINY, rmsNormEps: 1e-6, contextLength: 64 };
      const models = [...parents.slice(0, 1), await putModel(bench.store, 'other', trained, other)];
      const { failure } = await bench.report(await submit(CONFIG, models), 'failed');
      expect(failure).toMatchObject({ failureClass: FailureClass.PERMANENT, reason: 'INCOMPATIBLE_MODELS' });
      expect(failure?.fieldViolations.map(({ field }) => field).sort()).toEqual([
        'inputs.models[1].config.contextLength',
        'inputs.models[1].config.rmsNormEps',
      ]);
      const { failure: tooLong } = await bench.report(await submit({ sequence_length: 64 }), 'failed');
      expect(tooLong?.fieldViolations[0]?.field).toBe('config.sequence_length');
    },
    SLOW,
  );

  it(
    'refuses for every reason at once',
    async () => {
      await bench.startService();
      const [first] = parents as [ArtifactRef];
      const other = await putModel(bench.store, 'other', trained, { ...TINY, rmsNormEps: 1e-6 });
      const models = [other, ...Array.from({ length: 15 }, () => first)];
      const question = { type: 'generate', prompt: 'x'.repeat(40), answer: 'y' };
      corpus = await bench.putCorpus(text(8));
      const config = {
        strategy: 'cma-es',
        vector: { operator: 'dfs', dfs_scaling: 'pair' },
        sequence_length: 64,
      };
      const tasks = await putTasks(bench.store, [question]);
      const { failure } = await bench.report(
        await bench.submit(config, { seed: 3n, fallback: '', inputs: inputsOf(models, tasks) }),
        'failed',
      );
      expect(failure).toMatchObject({ failureClass: FailureClass.PERMANENT, reason: 'UNUSABLE_INPUTS' });
      const fields = new Set(failure?.fieldViolations.map(({ field }) => field));
      for (const field of [
        'inputs.models[1].config.rmsNormEps',
        'inputs.models[15].config.rmsNormEps',
        'config.sequence_length',
        'config.vector',
        'corpus.fitness',
        'corpus.report',
        'inputs.tasks',
      ])
        expect(fields).toContain(field);
    },
    SLOW,
  );

  it(
    'gives the same bytes whenever it is stopped and goes on',
    async () => {
      const test = {
        bench,
        work: evolveMerge,
        config: evomergeConfig.parse(CONFIG),
        seed: 3n,
        inputs: inputsOf(parents),
      };
      const whole = await digestsOfWork(test);
      for (const releaseAt of [3, 20, 34]) {
        expect(await digestsOfResumedWork(test, releaseAt)).toEqual(whole);
      }
    },
    SLOW,
  );

  it(
    'gives the same bytes after its process was killed',
    async () => {
      const config = { ...CONFIG, generations: 20 };
      const child = bench.startProcess(MAIN);
      const task = await submit(config);
      await eventually(() => bench.kinds(task).includes('checkpointed'));
      child.kill('SIGKILL');
      await bench.startService();
      const digests = await bench.digests(task);
      expect(await bench.digests(await submit(config))).toEqual(digests);
    },
    SLOW,
  );

  it(
    'stops within two seconds when it is cancelled',
    async () => {
      const service = await bench.startService();
      const task = await submit({ ...CONFIG, generations: 500, plateau_generations: 100, plateau_delta: 0 });
      await bench.report(task, 'checkpointed');
      const cancelledAt = performance.now();
      service.get(PhaseHost).tasks.cancel(task.attemptId);
      await bench.report(task, 'cancelled');
      expect(performance.now() - cancelledAt).toBeLessThan(2000);
    },
    SLOW,
  );
});
