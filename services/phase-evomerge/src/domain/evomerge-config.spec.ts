import type { z } from 'zod';
import { checkEvomergeConfig, evomergeConfig } from './evomerge-config.js';

const fieldsOf = (config: z.input<typeof evomergeConfig>) =>
  checkEvomergeConfig(evomergeConfig.parse(config)).map(({ field }) => field);

describe('checkEvomergeConfig()', () => {
  it('accepts every strategy as it comes, also with the defaults written out', () => {
    for (const strategy of ['tournament', 'cma-es', 'nsga2'] as const) {
      expect(fieldsOf({ strategy })).toEqual([]);
      expect(fieldsOf(evomergeConfig.parse({ strategy }))).toEqual([]);
    }
  });

  it('names every rule between fields that is broken', () => {
    expect(
      fieldsOf({
        strategy: 'nsga2',
        vector: { dropped_layers: 0 },
        fitness_weights: { perplexity: 0, speed: 0, size: 0 },
      }),
    ).toEqual(['fitness_weights', 'strategy']);
    expect(fieldsOf({ operators: ['ties', 'ties'] })).toEqual(['operators']);
  });

  it('refuses settings of vectors for a tournament', () => {
    expect(
      fieldsOf({
        vector: {
          operator: 'linear',
          sigma: 0.2,
          dfs_repeats: 3,
          dfs_scaling: 'pair',
          dropped_layers: 0,
        },
      }),
    ).toEqual([
      'vector.operator',
      'vector.sigma',
      'vector.dfs_repeats',
      'vector.dfs_scaling',
      'vector.dropped_layers',
    ]);
  });

  it.each(['cma-es', 'nsga2'] as const)(
    'refuses settings of a tournament for %s, with the fix',
    (strategy) => {
      const config = evomergeConfig.parse({
        strategy,
        operators: ['ties'],
        mutation_sigma: 0.3,
        diversity_floor: 0,
      });
      const violations = checkEvomergeConfig(config);
      expect(violations.map(({ field }) => field)).toEqual([
        'operators',
        'mutation_sigma',
        'diversity_floor',
      ]);
      for (const { description } of violations) expect(description).toMatch(/leave it out, or set strategy/);
    },
  );

  it('refuses settings of data-flow space for other operators only', () => {
    const vector = { dfs_repeats: 3, dfs_scaling: 'pair', dropped_layers: 2, sigma: 0.2 } as const;
    expect(fieldsOf({ strategy: 'cma-es', vector })).toEqual([
      'vector.dfs_repeats',
      'vector.dfs_scaling',
      'vector.dropped_layers',
    ]);
    expect(fieldsOf({ strategy: 'cma-es', vector: { ...vector, operator: 'dfs' } })).toEqual([]);
  });
});
