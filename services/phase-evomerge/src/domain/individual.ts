import type { Measured } from './fitness.js';
import type { Recipe, SourceId } from './recipe.js';

/** How an individual came to be. */
export type Origin = 'parent' | 'uniform' | 'initial' | 'mutation' | 'chaos' | 'reseed';

/** One individual, with its lineage. Plain JSON: what the report and checkpoints hold. */
export interface Individual {
  /** `p0`, `p1` … for parents, otherwise `g<generation>-<number>`. */
  readonly id: SourceId;
  /** Generation it was born in. */
  readonly generation: number;
  readonly origin: Origin;
  /** How it is made; null for a parent. */
  readonly recipe: Recipe | null;
  /** The individual it was mutated from; absent otherwise. */
  readonly mutatedFrom?: SourceId;
  /** Decoder layers. */
  readonly layers: number;
  readonly measured?: Measured;
  readonly fitness?: number;
}

/** Fittest first; the older one of equals. Unmeasured individuals come last. */
export function byFitness(a: Individual, b: Individual): number {
  return (b.fitness ?? -1) - (a.fitness ?? -1);
}
