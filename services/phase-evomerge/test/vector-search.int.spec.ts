import type { ArtifactRef } from '@agentforge/contracts';
import { digestsOfResumedWork, digestsOfWork, PhaseBench } from '@agentforge/phase-runtime/testing';
import { evomergeConfig } from '../src/domain/evomerge-config.js';
import { evolveMerge } from '../src/evolve-merge.js';
import { evomergePhase } from '../src/evomerge.phase.js';
import { filesOf, putParents, putTasks, text, trainedWeights } from './parents.js';
import { expectSameModel } from './same-model.js';

/** Real searches, on machines that may be busy: ms. */
const SLOW = 240_000;

const trained = trainedWeights();
let bench: PhaseBench;
let parents: ArtifactRef[];
let corpus: ArtifactRef;

beforeAll(async () => {
  bench = await PhaseBench.open(evomergePhase);
  corpus = await bench.putCorpus(text());
  // One parent is worse than the others: the best mix is not the uniform one.
  parents = await putParents(bench.store, trained, [0.06, 0.08, 0.14], 20);
});

afterAll(async () => {
  await bench.close();
});

function search(config: object, models = parents) {
  return {
    bench,
    work: evolveMerge,
    config: evomergeConfig.parse({ generations: 4, fitness_tokens: 1024, sequence_length: 32, ...config }),
    seed: 5n,
    inputs: [
      { port: 'models', artifacts: models },
      { port: 'corpus', artifacts: [corpus] },
    ],
  };
}

interface Report {
  readonly outcome: string;
  readonly best: string;
  readonly lineage: { id: string; origin: string; diversity: number; bredFrom?: string[] }[];
  readonly pareto_front?: {
    objectives: string[];
    individuals: { id: string; layers: number; loss: number; task_error?: number; is_chosen?: boolean }[];
  };
}

describe('searches of vectors', () => {
  it(
    'cma-es beats parents and average where one parent is worse, wherever it is stopped',
    async () => {
      const test = search({ strategy: 'cma-es', generations: 6 });
      const whole = await digestsOfWork(test);
      const [model, report, recipe, tree] = whole as [string, string, string, string];
      const { outcome, lineage, best } = (await bench.store.readJson(report)) as unknown as Report;
      expect(outcome).toBe('improved');
      expect(lineage).toHaveLength(4 + 7 * 8);
      expect(lineage.every(({ diversity }) => diversity >= 0)).toBe(true);
      expect(lineage.find(({ id }) => id === best)?.origin).toBe('sample');
      expect(await bench.store.readText(tree)).toContain(`<title>${best} sample`);
      await expectSameModel(
        bench.store,
        parents,
        await bench.store.readText(recipe),
        await filesOf(bench.store, model),
      );
      for (const releaseAt of [5, 30]) expect(await digestsOfResumedWork(test, releaseAt)).toEqual(whole);
    },
    SLOW,
  );

  it(
    'nsga2 hands one of a front of sizes on, wherever it is stopped',
    async () => {
      const test = search({ strategy: 'nsga2', extra_layers: 1, vector: { sigma: 0.15 } });
      const whole = await digestsOfWork(test);
      const { pareto_front: front, best } = (await bench.store.readJson(whole[1] ?? '')) as unknown as Report;
      const losses = (front?.individuals ?? []).map(({ loss }) => loss);
      expect(losses.length).toBeGreaterThan(0);
      expect(front?.objectives).toEqual(['loss', 'flop_per_token', 'parameters']);
      expect(losses).toEqual(losses.toSorted((a, b) => a - b));
      expect(front?.individuals.filter((one) => one.is_chosen).map(({ id }) => id)).toEqual([best]);
      for (const releaseAt of [5, 25]) expect(await digestsOfResumedWork(test, releaseAt)).toEqual(whole);
    },
    SLOW,
  );

  it(
    'nsga2 minimises errors in tasks where there are tasks',
    async () => {
      const plain = search({ strategy: 'nsga2', extra_layers: 1, generations: 2, vector: { sigma: 0.15 } });
      const tasks = { port: 'tasks', artifacts: [await putTasks(bench.store)] };
      const [, report = ''] = await digestsOfWork({ ...plain, inputs: [...plain.inputs, tasks] });
      const { pareto_front: front } = (await bench.store.readJson(report)) as unknown as Report;
      expect(front?.objectives).toEqual(['loss', 'flop_per_token', 'parameters', 'task_error']);
      for (const { task_error } of front?.individuals ?? []) {
        expect(task_error).toBeGreaterThanOrEqual(0);
        expect(task_error).toBeLessThanOrEqual(1);
      }
    },
    SLOW,
  );

  it(
    'refuses more genes than can be learnt, by name',
    async () => {
      const [first] = parents as [ArtifactRef];
      const many = search(
        { strategy: 'cma-es', vector: { operator: 'dfs', dfs_scaling: 'pair' } },
        Array(16).fill(first),
      );
      await expect(digestsOfWork(many)).rejects.toThrow('TOO_MANY_GENES');
    },
    SLOW,
  );
});
