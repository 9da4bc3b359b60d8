import type { Task } from '@agentforge/model';
import type { PhaseContext, SpreadWork, StepPart } from '@agentforge/phase-runtime/worker';
import type { JsonValue } from '@bufbuild/protobuf';
import type { CandidateMeter } from '../candidate-meter.js';
import { type EvomergeConfig, evomergeConfig } from '../domain/evomerge-config.js';
import type { Measured } from '../domain/fitness.js';
import type { Individual } from '../domain/individual.js';
import type { Weights } from '../domain/layout.js';
import type { Recipe } from '../domain/recipe.js';
import type { MergeInputs } from '../merge-inputs.js';
import type { Candidate } from './evaluator.js';
import { SpreadEvaluator } from './spread-evaluator.js';

const slerp = (t: number): Recipe => ({ operator: 'slerp', sources: ['p0', 'p1'], t: [t] });

/** Two parents, of which the second is better, and three merges, of which two are the same. */
const RECIPES = { p0: null, p1: null, a: slerp(0.1), b: slerp(0.2), c: slerp(0.1) };
const LOSSES: Readonly<Record<string, number>> = { p0: 3, p1: 2, a: 4, b: 5, c: 4 };

const task = (id: string): Task => ({ type: 'choice', id, prompt: '', choices: ['a', 'b'], answer: 0 });

function search(config: Partial<EvomergeConfig> = {}, tasks: MergeInputs['tasks'] = null) {
  const batches: (readonly StepPart[])[] = [];
  const asked: unknown[] = [];
  const measured = new Map<string, Measured>();
  const individuals = new Map<string, Individual>(
    Object.entries(RECIPES).map(([id, recipe]) => [
      id,
      { id, generation: 0, origin: recipe ? 'initial' : 'parent', recipe, layers: 1 },
    ]),
  );
  const context = {
    config: { ...evomergeConfig.parse({}), ...config },
    /** Answers backwards, as others may. */
    spread: async (parts: readonly StepPart[], work: SpreadWork) => {
      batches.push(parts);
      for (const [index, { content }] of [...parts.entries()].toReversed()) {
        expect(await work.accept(index, 'nonsense')).toBe(false);
        const answer: JsonValue = await work.compute(content, index);
        expect(await work.accept(index, answer)).toBe(true);
      }
    },
  } as unknown as PhaseContext<EvomergeConfig>;
  const weightsOf = (id: string): Weights => new Map([['x', Float32Array.of(LOSSES[id] as number)]]);
  const parents = ['p0', 'p1'].map((id) => ({
    id,
    weights: weightsOf(id),
    artifact: { ref: { digest: `sha256:${id}` } },
  }));
  const fitness = { tokens: Int32Array.of(1, 2, 3) };
  const inputs = { parents, fitness, tasks, config: { vocabSize: 3 } } as unknown as MergeInputs;
  const meter = {
    measure: async (weights: Weights, _: unknown, how: unknown): Promise<Measured> => {
      asked.push(how);
      const lossNats = weights.get('x')?.[0] ?? 0;
      return { lossNats, flopPerToken: 1, parameters: 1, ...(tasks ? { taskAccuracy: 1 / lossNats } : {}) };
    },
  } as unknown as CandidateMeter;
  const evaluator = new SpreadEvaluator(context, inputs, meter);
  const measure = (...ids: string[]) =>
    evaluator.measure(
      ids.map((id): Candidate => {
        const individual = individuals.get(id) as Individual;
        const sourceOf = (one: string) => individuals.get(one) as Individual;
        return { individual, weights: () => weightsOf(id), sourceOf };
      }),
      async ({ individual }, one) => {
        measured.set(individual.id, one);
        individuals.set(individual.id, { ...individual, measured: one });
      },
    );
  return { measure, measured, batches, asked };
}

describe('SpreadEvaluator', () => {
  it('has each genome measured once, and hands the measurement to all who have it', async () => {
    const { measure, measured, batches } = search({ early_stop_margin: 0 });
    await measure('p0', 'p1', 'a', 'b', 'c');
    expect(batches.map((parts) => parts.length)).toEqual([4]);
    expect(Object.fromEntries([...measured].map(([id, { lossNats }]) => [id, lossNats]))).toEqual(LOSSES);
    await measure('c');
    expect(batches.map((parts) => parts.length)).toEqual([4, 0]);
  });

  it('measures parents first, and compares the others with the best of them', async () => {
    const { measure, batches, asked } = search({ early_stop_margin: 0.5 });
    await measure('a', 'p0', 'p1');
    expect(batches.map((parts) => parts.length)).toEqual([2, 1]);
    const reference = { lossNats: 2, flopPerToken: 1, parameters: 1, prefixes: [] };
    expect(asked).toEqual([{ notesPrefixes: true }, { notesPrefixes: true }, { reference }]);
  });

  it('compares what is solved of the tasks, too', async () => {
    const { measure, asked } = search({ early_stop_margin: 0.5 }, [task('q')]);
    await measure('a', 'p0', 'p1');
    expect(asked.at(-1)).toMatchObject({ reference: { lossNats: 2, taskAccuracy: 0.5 } });
  });

  it.each<Partial<EvomergeConfig>>([
    { fitness_weights: { perplexity: 0, tasks: 0, speed: 1, size: 0 } },
    { strategy: 'nsga2' },
    { early_stop_margin: 0 },
  ])('stops nobody where the loss alone does not decide: %j', async (config) => {
    const { measure, asked } = search(config);
    await measure('p0', 'a');
    expect(asked).toEqual([{}, {}]);
  });

  it('gives other keys to what is measured otherwise', async () => {
    const keysOf = async (config: Partial<EvomergeConfig>, tasks: MergeInputs['tasks'] = null) => {
      const { measure, batches } = search(config, tasks);
      await measure('p0', 'a');
      return batches.flat().map(({ key }) => key);
    };
    const keys = await Promise.all(
      [
        {},
        { fitness_tokens: 2 },
        { sequence_length: 8 },
        { base: 'first' as const },
        { early_stop_margin: 0 },
      ].map((config) => keysOf(config)),
    );
    keys.push(await keysOf({}, [task('q')]), await keysOf({}, [task('q'), task('r')]));
    expect(new Set(keys.flat()).size).toBe(14);
    expect(await keysOf({ generations: 3 })).toEqual(keys[0]);
  });
});
