import { Philox } from '@agentforge/tensor';
import { groupCount } from '../layout.js';
import type { GroupWeights } from '../recipe.js';
import { penalised } from './boundary.js';
import { codecOf, simplexPlane } from './codec.js';
import { VECTOR_OPERATORS, type VectorSpace } from './vector-space.js';

const space: VectorSpace = {
  operator: 'linear',
  sources: ['a', 'b', 'c'],
  layers: 3,
  dareRescale: 'match_l1',
  maskSeed: 7,
  dfs: { extraLayers: 1, droppedLayers: 1, repeats: 2, scaling: 'layer' },
};
const groups = groupCount(3);

function randomGenes(length: number, rng: Philox): number[] {
  return Array.from({ length }, () => 1.4 * rng.float() - 0.2);
}

describe('simplexPlane()', () => {
  it('is orthonormal and sums to 0', () => {
    const plane = simplexPlane(5);
    expect(plane).toHaveLength(4);
    for (const [i, x] of plane.entries()) {
      expect(x.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 12);
      for (const [j, y] of plane.entries()) {
        expect(x.reduce((sum, value, k) => sum + value * (y[k] as number), 0)).toBeCloseTo(
          Number(i === j),
          12,
        );
      }
    }
  });
});

describe('codecOf()', () => {
  it.each(VECTOR_OPERATORS)(
    '%s decodes whatever a search samples into a recipe of its operator',
    (operator) => {
      const codec = codecOf({ ...space, operator });
      const rng = new Philox(1);
      for (let i = 0; i < 50; i++) {
        const recipe = codec.decode(randomGenes(codec.start.length, rng));
        expect(recipe.operator).toBe(operator);
        expect(JSON.stringify(recipe)).not.toContain('null');
      }
      expect(() => codec.decode(codec.start.slice(1))).toThrow(TypeError);
    },
  );

  it.each(VECTOR_OPERATORS.filter((operator) => operator !== 'dfs'))(
    '%s starts at the uniform average of the weights',
    (operator) => {
      const codec = codecOf({ ...space, operator });
      const recipe = codec.decode(codec.start) as { weights?: number[][] };
      expect(recipe.weights).toHaveLength(groups);
      for (const row of recipe.weights ?? []) for (const weight of row) expect(weight).toBeCloseTo(1 / 3, 12);
    },
  );

  it('linear never changes the sum of weights, and with it the temperature', () => {
    const codec = codecOf(space);
    expect(codec.start).toHaveLength(groups * 2);
    const rng = new Philox(2);
    for (let i = 0; i < 20; i++) {
      const recipe = codec.decode(randomGenes(codec.start.length, rng)) as { weights: GroupWeights };
      for (const row of recipe.weights) {
        expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
      }
    }
  });

  it('gives all candidates of random operators the same masks', () => {
    const codec = codecOf({ ...space, operator: 'dare_ties' });
    const rng = new Philox(3);
    const seeds = [1, 2].map(
      () => (codec.decode(randomGenes(codec.start.length, rng)) as { seed: number }).seed,
    );
    expect(seeds).toEqual([7, 7]);
  });
});

describe('data-flow space', () => {
  const codec = codecOf({ ...space, operator: 'dfs' });
  const places = 3 * 3 * 2;
  const stackOf = (genes: readonly number[]) => {
    const recipe = codec.decode(genes);
    if (recipe.operator !== 'dfs') throw new TypeError(recipe.operator);
    return recipe;
  };

  it('starts from the last source, unscaled', () => {
    const { layers, frame } = stackOf(codec.start);
    expect(layers).toEqual([0, 1, 2].map((layer) => ({ source: 2, layer, scale: 1 })));
    expect(frame).toBe(2);
  });

  it('has an indicator for every place, a scale per layer or pair of layers, and a frame', () => {
    expect(codec.start).toHaveLength(places + 9 + 1);
    const pairs = codecOf({ ...space, operator: 'dfs', dfs: { ...space.dfs, scaling: 'pair' } });
    expect(pairs.start).toHaveLength(places + 81 + 1);
  });

  it('goes through the sequence of all layers as often as it may', () => {
    const genes: number[] = codec.start.map((_, i) => (i < places ? 0 : 0.5));
    // a's first layer, b's second, and in the second round a's first again.
    for (const place of [0, 4, 9]) genes[place] = 0.9;
    expect(stackOf(genes).layers.map(({ source, layer }) => [source, layer])).toEqual([
      [0, 0],
      [1, 1],
      [0, 0],
    ]);
  });

  it('scales what a layer gets from the one before it, by layer or by pair', () => {
    const chosen = [0, 4, 8];
    const genes = codec.start.map((_, i) => (i < places ? Number(chosen.includes(i)) : 0.5));
    genes[places + 4] = 1;
    genes[places + 0] = 1;
    expect(stackOf(genes).layers.map(({ scale }) => scale)).toEqual([1, 2, 1]);
    const pairs = codecOf({ ...space, operator: 'dfs', dfs: { ...space.dfs, scaling: 'pair' } });
    const paired = pairs.start.map((_, i) => (i < places ? Number(chosen.includes(i)) : 0.5));
    paired[places + 4 * 9 + 8] = 0;
    const recipe = pairs.decode(paired);
    expect('layers' in recipe && recipe.layers.map((pick) => 'scale' in pick && pick.scale)).toEqual([
      1, 1, 0.5,
    ]);
  });

  it('keeps the number of layers within its bounds', () => {
    const all = codec.start.map(() => 0.8);
    expect(stackOf(all).layers).toHaveLength(4);
    const none = codec.start.map(() => 0.2);
    expect(stackOf(none).layers).toHaveLength(2);
    const rng = new Philox(5);
    for (let i = 0; i < 100; i++) {
      const { length } = stackOf(randomGenes(codec.start.length, rng)).layers;
      expect(length >= 2 && length <= 4).toBe(true);
    }
  });
});

describe('penalised()', () => {
  it('leaves what is inside alone, and charges an interquartile range per standard deviation outside', () => {
    const samples = [[0.5], [0], [1.1], [0.2], [0.3]];
    expect(penalised(samples, [1, 2, 3, 4, 5], 0.01)).toEqual([1, 2, expect.closeTo(5, 9), 4, 5]);
  });

  it('still charges where all losses are equal', () => {
    expect(penalised([[2], [0.5]], [1, 1], 1)).toEqual([2, 1]);
  });
});
