import type { Measured } from './fitness.js';
import type { Recipe, SourceId } from './recipe.js';

/** How an individual came to be. */
export type Origin =
  | 'parent'
  | 'uniform'
  | 'initial'
  | 'mutation'
  | 'chaos'
  | 'reseed'
  | 'sample'
  | 'crossover';

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
  /**
   * Whom its genes come from: its two parents in a crossover; the samples that the mean of its distribution was recombined
   * from, best first. Absent otherwise.
   */
  readonly bredFrom?: readonly SourceId[];
  /** What its recipe was decoded from, where the search is one over vectors. */
  readonly genes?: readonly number[];
  /** Decoder layers. */
  readonly layers: number;
  readonly measured?: Measured;
  readonly fitness?: number;
  /** Mean distance to the others of its generation, relative to that between the parents. */
  readonly diversity?: number;
}

/** Fittest first; the older one of equals. Unmeasured individuals come last. */
export function byFitness(a: Individual, b: Individual): number {
  return (b.fitness ?? -1) - (a.fitness ?? -1);
}
