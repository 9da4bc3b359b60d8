import { Philox } from '@agentforge/tensor';
import { nextGeneration } from './breeding.js';
import {
  advance,
  beginEvolution,
  bestOf,
  type EvolutionOptions,
  type EvolutionState,
  populationOf,
  recordMeasurement,
  unmeasured,
} from './evolution.js';
import { byFitness, type Individual } from './individual.js';
import { asVector } from './layout.js';
import { OPERATORS } from './recipe.js';
import { WeightPool } from './weight-pool.js';

const options: EvolutionOptions = {
  strategy: 'tournament',
  vector: { operator: 'linear', sigma: 0.1, dfsRepeats: 2, dfsScaling: 'layer', droppedLayers: 0 },
  generations: 6,
  population: 8,
  plateauGenerations: 3,
  plateauDelta: 0.001,
  diversityFloor: 0.2,
  weights: { perplexity: 1, tasks: 0, speed: 0, size: 0 },
  sigma: 0.2,
  parents: ['p0', 'p1', 'p2'],
  space: { operators: OPERATORS, layers: 2, extraLayers: 0, dareRescale: 'match_l1' },
};
const rng = new Philox(11);

/** Parents and base of a problem small enough to know its optimum: weights equal to the target. */
const names = ['model.embed_tokens.weight', 'model.layers.0.x', 'model.layers.1.x', 'model.norm.weight'];
const target = 0.4;
const parents = new Map(
  [-1, 0.5, 2].map((value, i) => [
    `p${i}`,
    new Map(names.map((name) => [name, new Float32Array(8).fill(value)])),
  ]),
);
const base = new Map(names.map((name) => [name, new Float32Array(8).fill(0.5)]));

function poolOf(state: () => EvolutionState, maxBytes = 2 ** 20): WeightPool {
  const find = (id: string) => state().individuals.find((one) => one.id === id) as Individual;
  return new WeightPool(parents, base, find, asVector, maxBytes);
}

function measure(pool: WeightPool, id: string) {
  let loss = 0;
  for (const values of pool.get(id).values()) for (const value of values) loss += (value - target) ** 2;
  return { lossNats: loss, flopPerToken: 1, parameters: 1 };
}

function search(
  from: EvolutionState,
  settings = options,
  stopAfter = Number.POSITIVE_INFINITY,
): EvolutionState {
  let state = from;
  const pool = poolOf(() => state);
  let evaluations = 0;
  while (!state.ended) {
    for (const { id } of unmeasured(state)) {
      if (evaluations++ >= stopAfter) return state;
      state = recordMeasurement(state, id, measure(pool, id));
    }
    state = advance(state, 0.5, settings, rng);
  }
  return state;
}

describe('evolution', () => {
  it('begins with the parents, their uniform average and one individual per operator', () => {
    const { individuals } = beginEvolution(options, rng);
    expect(individuals.slice(0, 4).map(({ origin }) => origin)).toEqual([
      'parent',
      'parent',
      'parent',
      'uniform',
    ]);
    expect(individuals.slice(4).map(({ recipe }) => recipe?.operator)).toEqual([...OPERATORS]);
  });

  it('finds something better than every parent and the uniform average', () => {
    const state = search(beginEvolution(options, rng));
    const best = bestOf(state).measured?.lossNats ?? Number.NaN;
    for (const { measured } of state.individuals.slice(0, 4))
      expect(best).toBeLessThan(measured?.lossNats ?? 0);
  });

  it('goes on from JSON to the same end, wherever it stopped', () => {
    const whole = search(beginEvolution(options, rng));
    for (const stopAfter of [0, 3, 11, 12, 17, 30]) {
      const stopped = search(beginEvolution(options, rng), options, stopAfter);
      expect(search(JSON.parse(JSON.stringify(stopped)))).toEqual(whole);
    }
  });

  it('ends on a plateau', () => {
    const state = search(beginEvolution(options, rng), { ...options, plateauDelta: 1e9, generations: 100 });
    expect(state.ended).toBe('plateau');
    expect(state.history).toHaveLength(4);
  });

  it('ends after the last generation', () => {
    const state = search(beginEvolution(options, rng), { ...options, plateauGenerations: 50 });
    expect(state.ended).toBe('generations');
    expect(state.history.map(({ generation }) => generation)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('remembers the best, so that it never gets worse', () => {
    const bests = search(beginEvolution(options, rng)).history.map(({ best }) => best);
    expect(bests).toEqual(bests.toSorted((a, b) => a - b));
  });

  it('reseeds a quarter of the next generation when diversity is low', () => {
    let state = beginEvolution(options, rng);
    for (const { id } of unmeasured(state)) {
      state = recordMeasurement(state, id, { lossNats: 1, flopPerToken: 1, parameters: 1 });
    }
    const origins = (diversity: number) =>
      populationOf(advance(state, diversity, options, rng)).map(({ origin }) => origin);
    expect(origins(0.1).filter((origin) => origin === 'reseed')).toHaveLength(2);
    expect(origins(0.3)).toEqual([...Array(6).fill('mutation'), 'chaos', 'chaos']);
  });
});

describe('nextGeneration()', () => {
  it('mutates the two fittest and merges the rest in two groups of three', () => {
    const state = search(beginEvolution(options, rng), { ...options, generations: 1, plateauGenerations: 9 });
    const ranked = state.individuals.toSorted(byFitness).slice(0, 8);
    const children = nextGeneration(2, ranked, { ...options, reseed: 0 }, new Philox(1));
    expect(children).toHaveLength(8);
    const fittest = ranked.slice(0, 2).map(({ id }) => id);
    for (const child of children.slice(0, 6)) expect(fittest).toContain(child.mutatedFrom);
    const rest = new Set(ranked.slice(2).map(({ id }) => id));
    for (const child of children.slice(6)) {
      expect(child.origin).toBe('chaos');
      for (const source of child.recipe?.sources ?? []) expect(rest).toContain(source);
    }
  });
});

describe('WeightPool', () => {
  it('makes what was dropped again, with the same values', () => {
    const state = search(beginEvolution(options, rng));
    const roomy = poolOf(() => state);
    const tight = poolOf(() => state, 1);
    for (const { id } of state.individuals) expect(tight.get(id)).toEqual(roomy.get(id));
    expect(tight.size).toBe(1);
  });

  it('forgets generations that are over', () => {
    const state = search(beginEvolution(options, rng));
    const pool = poolOf(() => state);
    for (const { id } of state.individuals) pool.get(id);
    pool.dropBefore(state.generation);
    expect(pool.size).toBe(populationOf(state).length);
  });
});
