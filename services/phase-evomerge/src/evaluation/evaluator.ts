import type { Measured } from '../domain/fitness.js';
import type { Individual } from '../domain/individual.js';
import type { Weights } from '../domain/layout.js';
import type { SourceId } from '../domain/recipe.js';

/** An individual to be measured. */
export interface Candidate {
  readonly individual: Individual;
  /** Makes its weights, or takes them from memory. Not to be modified. */
  weights(): Weights;
  /** Looks up whom it descends from. */
  sourceOf(id: SourceId): Individual;
}

/** Takes a measurement, and may save the state: awaited before the next one is handed over. @throws when the work has to end */
export type OnMeasured = (candidate: Candidate, measured: Measured) => Promise<void>;

/** Measures the candidates of a generation, however many at a time and wherever. */
export interface Evaluator {
  /**
   * Measures every candidate once. The order of measurements is free: results depend on none.
   * @param candidates  all recipes differ
   * @throws what `onMeasured` throws, unchanged, without measuring on
   */
  measure(candidates: readonly Candidate[], onMeasured: OnMeasured): Promise<void>;
}
