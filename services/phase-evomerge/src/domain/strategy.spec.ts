import { Philox } from '@agentforge/tensor';
import {
  advance,
  beginEvolution,
  bestOf,
  chosenOf,
  type EvolutionOptions,
  type EvolutionState,
  paretoFrontOf,
  populationOf,
  recordMeasurement,
  unmeasured,
} from './evolution.js';
import { evolutionTree } from './evolution-tree.js';
import type { Measured } from './fitness.js';
import type { Individual } from './individual.js';
import type { GroupWeights } from './recipe.js';
import { costsOf } from './search/objectives.js';
import { dominates } from './search/pareto.js';
import { geneCount } from './strategy.js';

const rng = new Philox(21);
const cma: EvolutionOptions = {
  strategy: 'cma-es',
  generations: 30,
  population: 10,
  plateauGenerations: 500,
  plateauDelta: 0,
  diversityFloor: 0.2,
  weights: { perplexity: 0.4, tasks: 0, speed: 0.2, size: 0.1 },
  sigma: 0.2,
  parents: ['p0', 'p1', 'p2'],
  space: { operators: ['linear'], layers: 2, extraLayers: 1, dareRescale: 'match_l1' },
  vector: { operator: 'linear', sigma: 0.1, dfsRepeats: 2, dfsScaling: 'layer', droppedLayers: 1 },
};
const nsga: EvolutionOptions = {
  ...cma,
  strategy: 'nsga2',
  vector: { ...cma.vector, operator: 'dfs', sigma: 0.2 },
};

/** The best weights of a problem with a known answer: unequal, and not the same in all groups. */
const target = [0.7, 0.2, 0.1];

/** Distance of a linear recipe to the target; parents are recipes of one model. */
function measureWeights({ id, recipe }: Individual): Measured {
  const own = [0, 1, 2].map((i) => (id === `p${i}` ? 1 : 0));
  const rows: GroupWeights =
    recipe && 'weights' in recipe ? normalised(recipe.weights) : [own, own, own, own];
  const lossNats =
    1 +
    rows.reduce(
      (sum, row) => sum + row.reduce((part, w, i) => part + (w - (target[i] as number)) ** 2, 0),
      0,
    );
  return { lossNats, flopPerToken: 10, parameters: 10 };
}

function normalised(rows: GroupWeights): GroupWeights {
  return rows.map((row) => row.map((weight) => weight / row.reduce((sum, w) => sum + w, 0)));
}

/** A loss that falls with every layer, and cares for where layers come from. */
function measureStack({ id, recipe }: Individual): Measured {
  const layers = recipe && 'layers' in recipe ? recipe.layers : [0, 1].map((layer) => ({ source: 3, layer }));
  const wrong = layers.filter(({ source }) => source !== 1).length / layers.length;
  const lossNats = 3 - 0.5 * layers.length + 0.4 * wrong + (id.startsWith('p') ? 0.1 : 0);
  return { lossNats, flopPerToken: layers.length, parameters: layers.length };
}

function search(
  from: EvolutionState,
  options: EvolutionOptions,
  measure: (individual: Individual) => Measured,
  stopAfter = Number.POSITIVE_INFINITY,
): EvolutionState {
  let state = from;
  let evaluations = 0;
  while (!state.ended) {
    for (const individual of unmeasured(state)) {
      if (evaluations++ >= stopAfter) return state;
      state = recordMeasurement(state, individual.id, measure(individual));
    }
    state = advance(state, 0.01, options, rng);
  }
  return state;
}

describe('cma-es', () => {
  it('begins with the parents, their uniform average and samples around it', () => {
    const { individuals } = beginEvolution(cma, rng);
    expect(individuals.map(({ origin }) => origin)).toEqual([
      'parent',
      'parent',
      'parent',
      'uniform',
      ...Array(10).fill('sample'),
    ]);
  });

  it('finds the best weights', () => {
    const state = search(beginEvolution(cma, rng), { ...cma, generations: 50 }, measureWeights);
    const best = bestOf(state);
    expect((best.measured?.lossNats ?? Number.NaN) - 1).toBeLessThan(1e-3);
    for (const row of (best.recipe as { weights: GroupWeights }).weights) {
      for (const [i, weight] of row.entries()) expect(weight).toBeCloseTo(target[i] as number, 1);
    }
    expect(state.history.every(({ reseeded }) => reseeded === 0)).toBe(true);
  });

  it('comes back when the best is out of bounds', () => {
    // Only p2, and more of it than weights can say.
    const measure = (one: Individual) => ({
      ...measureWeights(one),
      lossNats:
        one.recipe && 'weights' in one.recipe
          ? 10 - normalised(one.recipe.weights).reduce((sum, row) => sum + (row[2] as number), 0)
          : 10,
    });
    const state = search(beginEvolution(cma, rng), cma, measure);
    for (const { genes } of populationOf(state)) {
      for (const x of genes ?? []) expect(x > -0.5 && x < 1.5).toBe(true);
    }
    const first = state.history[0]?.best ?? 0;
    expect(state.history.at(-1)?.best).toBeGreaterThan(first);
  });

  it('knows whom the mean of its samples came from', () => {
    const state = search(beginEvolution(cma, rng), { ...cma, generations: 2 }, measureWeights);
    const byId = new Map(state.individuals.map((one) => [one.id, one]));
    for (const { bredFrom, generation } of populationOf(state)) {
      expect(bredFrom).toHaveLength(5);
      const fitness = (bredFrom ?? []).map((id) => byId.get(id)?.fitness ?? 0);
      expect(fitness).toEqual(fitness.toSorted((a, b) => b - a));
      for (const id of bredFrom ?? []) expect(byId.get(id)?.generation).toBe(generation - 1);
    }
  });

  it('has as many genes as degrees of freedom', () => {
    expect(geneCount(cma, rng)).toBe(4 * 2);
    expect(geneCount({ ...cma, strategy: 'tournament' }, rng)).toBe(0);
  });
});

describe('nsga2', () => {
  const state = search(beginEvolution(nsga, rng), nsga, measureStack);

  it('finds a front of sizes, nobody of which is dominated', () => {
    const front = paretoFrontOf(state);
    expect(new Set(front.map(({ layers }) => layers))).toEqual(new Set([1, 2, 3]));
    for (const a of front) {
      for (const b of state.individuals) {
        expect(dominates(costsOf(b.measured as Measured), costsOf(a.measured as Measured))).toBe(false);
      }
    }
    // Where layers come from is found too: the largest is better than a stack of the average.
    expect(front[0]?.measured?.lossNats).toBeLessThan(3 - 0.5 * 3 + 0.4);
  });

  it('hands on the fittest of those that beat parents and average', () => {
    const chosen = chosenOf(state);
    const average = state.individuals.find(({ origin }) => origin === 'uniform');
    expect(chosen.measured?.lossNats).toBeLessThan(average?.measured?.lossNats ?? 0);
    const rivals = paretoFrontOf(state).filter(
      ({ measured }) => (measured?.lossNats ?? 9) < (average?.measured?.lossNats ?? 0),
    );
    expect(chosen.fitness).toBe(Math.max(...rivals.map(({ fitness = 0 }) => fitness)));
  });
});

describe.each([
  ['cma-es', cma, measureWeights],
  ['nsga2', nsga, measureStack],
] as const)('%s', (_, whole, measure) => {
  const options = { ...whole, generations: 6 };

  it('goes on from JSON to the same end, wherever it stopped', () => {
    const expected = search(beginEvolution(options, rng), options, measure);
    for (const stopAfter of [0, 5, 14, 15, 30, 61]) {
      const stopped = search(beginEvolution(options, rng), options, measure, stopAfter);
      expect(search(JSON.parse(JSON.stringify(stopped)), options, measure)).toEqual(expected);
    }
  });

  it('is drawn as a tree, the same for the same search', () => {
    const state = search(beginEvolution(options, rng), options, measure);
    const svg = evolutionTree(state);
    expect(svg).toBe(evolutionTree(JSON.parse(JSON.stringify(state))));
    expect(svg.match(/r="2.5"/g)).toHaveLength(state.individuals.length);
    expect(svg).toContain(`<title>${chosenOf(state).id} `);
  });
});

describe('evolutionTree()', () => {
  it('stays small however many have lived', () => {
    const individuals = Array.from(
      { length: 20_000 },
      (_, i): Individual => ({
        id: i < 40 ? `p${i}` : `g${Math.floor(i / 40)}-${i % 40}`,
        generation: Math.floor(i / 40),
        origin: i < 40 ? 'parent' : 'mutation',
        recipe: null,
        ...(i < 40 ? {} : { mutatedFrom: i < 80 ? `p${i - 40}` : `g${Math.floor(i / 40) - 1}-${i % 40}` }),
        layers: 1,
        fitness: 1 + i * 1e-6,
      }),
    );
    const svg = evolutionTree({ individuals, population: [], generation: 499, history: [] });
    expect(svg.length).toBeLessThan(2 ** 19);
    // From the best back to a parent.
    expect(svg.match(/r="5"/g)).toHaveLength(500);
  });
});
