import { Philox } from '@agentforge/tensor';
import { type Contender, offspring, surviving } from './nsga2.js';
import { costsOf } from './objectives.js';
import { crowdingDistances, dominates, hypervolume2d, sortByFront } from './pareto.js';

/** ZDT1 in 30 variables (Zitzler, Deb & Thiele 2000): the true front is f₂ = 1 − √f₁. */
function zdt1(genes: readonly number[]): [number, number] {
  const [first = 0, ...rest] = genes;
  const g = 1 + (9 * rest.reduce((sum, x) => sum + x, 0)) / rest.length;
  return [first, g * (1 - Math.sqrt(first / g))];
}

const REFERENCE = [1.1, 1.1] as const;

/** Hypervolume of the true front below (1.1, 1.1): the square without the area under the front, ∫₀¹ (1 − √f) df = 1/3. */
const EXACT = 1.1 * 1.1 - 1 / 3;

function run(seed: number, generations: number, size = 100): Contender[] {
  const rng = new Philox(seed);
  const contender = (genes: readonly number[]): Contender => ({ genes, costs: zdt1(genes) });
  let population = Array.from({ length: size }, () =>
    contender(Array.from({ length: 30 }, () => rng.float())),
  );
  population = survivors(population, size);
  for (let i = 0; i < generations; i++) {
    const children = offspring(population, size, rng).map(({ genes }) => contender(genes));
    population = survivors([...population, ...children], size);
  }
  return population;
}

function survivors(all: readonly Contender[], count: number): Contender[] {
  return surviving(
    all.map(({ costs }) => costs),
    count,
  ).map((i) => all[i] as Contender);
}

describe('dominates()', () => {
  it.each([
    [[1, 1], [2, 1], true],
    [[1, 1], [1, 1], false],
    [[1, 2], [2, 1], false],
    [[2, 2], [1, 1], false],
  ])('%j over %j: %s', (a, b, expected) => {
    expect(dominates(a, b)).toBe(expected);
  });
});

describe('sortByFront()', () => {
  it('peels front after front', () => {
    const costs = [
      [3, 3],
      [1, 4],
      [4, 1],
      [2, 2],
      [5, 5],
      [3, 3],
    ];
    expect(sortByFront(costs)).toEqual([[1, 2, 3], [0, 5], [4]]);
  });

  it('agrees with the definition on random points', () => {
    const rng = new Philox(2);
    const costs = Array.from({ length: 60 }, () => [rng.float(), rng.float(), rng.float()]);
    let left = costs.map((_, i) => i);
    for (const front of sortByFront(costs)) {
      const expected = left.filter(
        (i) => !left.some((j) => dominates(costs[j] as number[], costs[i] as number[])),
      );
      expect(front).toEqual(expected);
      left = left.filter((i) => !front.includes(i));
    }
    expect(left).toEqual([]);
  });
});

describe('crowdingDistances()', () => {
  it('sums the relative distances of the neighbours; the ends have all the room', () => {
    const room = crowdingDistances([
      [0, 10],
      [2, 4],
      [10, 0],
      [5, 2],
    ]);
    expect(room).toEqual([
      Number.POSITIVE_INFINITY,
      5 / 10 + 8 / 10,
      Number.POSITIVE_INFINITY,
      8 / 10 + 4 / 10,
    ]);
  });
});

describe('hypervolume2d()', () => {
  it('adds up what a front dominates, and nothing twice', () => {
    expect(hypervolume2d([[0, 0]], [1.1, 1.1])).toBeCloseTo(1.21, 12);
    expect(
      hypervolume2d(
        [
          [0, 0.5],
          [0.5, 0],
          [0.5, 0.5],
          [2, 0],
        ],
        [1, 1],
      ),
    ).toBeCloseTo(0.75, 12);
  });

  it('approaches the exact value of the front of ZDT1', () => {
    const front = Array.from({ length: 20_001 }, (_, i) => [i / 20_000, 1 - Math.sqrt(i / 20_000)]);
    expect(hypervolume2d(front, REFERENCE)).toBeCloseTo(EXACT, 3);
    expect(EXACT).toBeCloseTo(0.87667, 5);
  });
});

describe('surviving()', () => {
  it('takes whole fronts, then the least crowded', () => {
    const costs = [
      [9, 9],
      [0, 3],
      [3, 0],
      [1, 2],
      [1.1, 1.9],
      [2, 1],
    ];
    expect(surviving(costs, 4).toSorted()).toEqual([1, 2, 3, 5]);
  });
});

describe('costsOf()', () => {
  const measured = (lossNats: number, size: number) => ({ lossNats, flopPerToken: size, parameters: size });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'puts a model of loss %p behind all others, even the largest of them',
    (loss) => {
      const costs = [measured(loss, 1), measured(3, 5), measured(loss, 2), measured(2, 9)].map(costsOf);
      expect(sortByFront(costs)).toEqual([
        [1, 3],
        [0, 2],
      ]);
      expect(surviving(costs, 4)).toEqual([1, 3, 0, 2]);
    },
  );
});

describe('NSGA-II', () => {
  it('comes within a percent of the hypervolume of ZDT1', () => {
    const volume = hypervolume2d(
      run(1, 250).map(({ costs }) => costs),
      REFERENCE,
    );
    expect(volume).toBeGreaterThan(0.99 * EXACT);
    expect(volume).toBeLessThan(EXACT);
  });

  it('does the same for the same seed, and leaves nobody outside [0, 1]', () => {
    expect(run(4, 5, 20)).toEqual(run(4, 5, 20));
    expect(run(4, 5, 20)).not.toEqual(run(5, 5, 20));
    for (const { genes } of run(4, 5, 20)) for (const x of genes) expect(x >= 0 && x <= 1).toBe(true);
  });
});
