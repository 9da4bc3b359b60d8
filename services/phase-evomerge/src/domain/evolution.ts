import type { Philox } from '@agentforge/tensor';
import { type BreedingOptions, firstGeneration, nextGeneration } from './breeding.js';
import { type FitnessWeights, fitnessOf, type Measured } from './fitness.js';
import { byFitness, type Individual } from './individual.js';
import type { SourceId } from './recipe.js';

/** How long and how a search goes on. */
export interface EvolutionOptions extends BreedingOptions {
  /** Generations after the first. */
  readonly generations: number;
  /** Generations without progress after which the search ends. */
  readonly plateauGenerations: number;
  /** Gain of the best fitness that counts as progress. */
  readonly plateauDelta: number;
  /** Diversity below which a quarter of the next generation is random. */
  readonly diversityFloor: number;
  readonly weights: FitnessWeights;
}

/** One generation in numbers. */
export interface GenerationRecord {
  readonly generation: number;
  /** Best fitness found so far. */
  readonly best: number;
  /** Mean fitness of the population. */
  readonly mean: number;
  readonly diversity: number;
  /** Newcomers that replaced mutants in this generation. */
  readonly reseeded: number;
}

/** Why a search ended. */
export type EndReason = 'generations' | 'plateau';

/** The whole state of a search: plain JSON, so that it can be continued anywhere. */
export interface EvolutionState {
  /** Everyone who ever lived, in the order of birth. */
  readonly individuals: readonly Individual[];
  /** Ids of the present generation. */
  readonly population: readonly SourceId[];
  readonly generation: number;
  readonly history: readonly GenerationRecord[];
  readonly ended?: EndReason;
}

/** The state before anything was measured. */
export function beginEvolution(options: EvolutionOptions, rng: Philox): EvolutionState {
  const individuals = firstGeneration(options, rng.stream('generation-0'));
  return { individuals, population: individuals.map(({ id }) => id), generation: 0, history: [] };
}

/** Individuals of the present generation that are not measured yet. */
export function unmeasured(state: EvolutionState): readonly Individual[] {
  return populationOf(state).filter(({ measured }) => !measured);
}

/** Records a measurement. Fitness is set when a generation is complete, since it is relative to the best parent. */
export function recordMeasurement(state: EvolutionState, id: SourceId, measured: Measured): EvolutionState {
  return {
    ...state,
    individuals: state.individuals.map((one) => (one.id === id ? { ...one, measured } : one)),
  };
}

/** The fittest of everyone who ever lived; of equals the older one. */
export function bestOf(state: EvolutionState): Individual {
  return state.individuals.toSorted(byFitness)[0] as Individual;
}

/** The parent with the lowest loss on the fitness split. */
export function bestParentOf(state: EvolutionState): Individual {
  const parents = state.individuals.filter(({ origin }) => origin === 'parent');
  return parents.toSorted(
    (a, b) => (a.measured?.lossNats ?? Infinity) - (b.measured?.lossNats ?? Infinity),
  )[0] as Individual;
}

/** The present generation. */
export function populationOf(state: EvolutionState): readonly Individual[] {
  const byId = new Map(state.individuals.map((individual) => [individual.id, individual]));
  return state.population.map((id) => byId.get(id) as Individual);
}

/**
 * Closes a generation whose individuals are all measured, and breeds the next one unless the search ends.
 * Randomness comes from a stream of its own per generation: nothing but the state is needed to go on.
 * @param diversity  of the present generation
 */
export function advance(
  state: EvolutionState,
  diversity: number,
  options: EvolutionOptions,
  rng: Philox,
): EvolutionState {
  const rated = withFitness(state, options.weights);
  const ranked = populationOf(rated).toSorted(byFitness).slice(0, options.population);
  const reseeded = diversity < options.diversityFloor ? Math.max(1, Math.floor(options.population / 4)) : 0;
  const record: GenerationRecord = {
    generation: state.generation,
    best: bestOf(rated).fitness ?? 0,
    mean: ranked.reduce((sum, { fitness = 0 }) => sum + fitness, 0) / ranked.length,
    diversity,
    reseeded,
  };
  const history = [...state.history, record];
  const closed = { ...rated, history };
  const ended = endReason(history, options);
  if (ended) return { ...closed, ended };
  const generation = state.generation + 1;
  const stream = rng.stream(`generation-${generation}`);
  const children = nextGeneration(generation, ranked, { ...options, reseed: reseeded }, stream);
  return {
    ...closed,
    individuals: [...closed.individuals, ...children],
    population: children.map(({ id }) => id),
    generation,
  };
}

function withFitness(state: EvolutionState, weights: FitnessWeights): EvolutionState {
  const reference = bestParentOf(state).measured;
  if (!reference) return state;
  const individuals = state.individuals.map((individual) =>
    individual.measured && individual.fitness === undefined
      ? { ...individual, fitness: fitnessOf(individual.measured, reference, weights) }
      : individual,
  );
  return { ...state, individuals };
}

function endReason(history: readonly GenerationRecord[], options: EvolutionOptions): EndReason | undefined {
  const last = history.at(-1);
  if (!last) return undefined;
  const before = history.at(-1 - options.plateauGenerations);
  if (before && last.best - before.best < options.plateauDelta) return 'plateau';
  return last.generation >= options.generations ? 'generations' : undefined;
}
