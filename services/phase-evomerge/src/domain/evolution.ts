import type { Philox } from '@agentforge/tensor';
import { type FitnessWeights, fitnessOf, type Measured } from './fitness.js';
import { byFitness, type Individual } from './individual.js';
import type { SourceId } from './recipe.js';
import { costsOf } from './search/objectives.js';
import { sortByFront } from './search/pareto.js';
import { begin, breed, type StrategyMemory, type StrategyOptions } from './strategy.js';

/** How long and how a search goes on. */
export interface EvolutionOptions extends StrategyOptions {
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
  /** Share of the tasks that the fittest solves; absent when there are none. */
  readonly taskAccuracy?: number;
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
  /** What the strategy remembers besides individuals. */
  readonly memory?: StrategyMemory;
  readonly ended?: EndReason;
}

/** The state before anything was measured. */
export function beginEvolution(options: EvolutionOptions, rng: Philox): EvolutionState {
  const { children, memory } = begin(options, rng);
  return {
    individuals: children,
    population: children.map(({ id }) => id),
    generation: 0,
    history: [],
    ...(memory && { memory }),
  };
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

/** Notes how far from the others each one of the present generation is. */
export function recordDiversities(state: EvolutionState, diversities: readonly number[]): EvolutionState {
  const byId = new Map(state.population.map((id, i) => [id, diversities[i] as number]));
  const individuals = state.individuals.map((one) => {
    const diversity = byId.get(one.id);
    return diversity === undefined ? one : { ...one, diversity };
  });
  return { ...state, individuals };
}

/** The fittest of everyone who ever lived; of equals the older one. */
export function bestOf(state: EvolutionState): Individual {
  return state.individuals.toSorted(byFitness)[0] as Individual;
}

/** Those that nobody is better than in every objective, lowest loss first; of equals the oldest. */
export function paretoFrontOf(state: EvolutionState): readonly Individual[] {
  const found = state.individuals.filter(({ measured }) => measured);
  const costs = found.map(({ measured }) => costsOf(measured as Measured));
  const front = (sortByFront(costs)[0] ?? []).filter(
    (i, at, all) => !all.slice(0, at).some((j) => String(costs[j]) === String(costs[i])),
  );
  return front.map((i) => found[i] as Individual).toSorted((a, b) => lossOf(a) - lossOf(b));
}

/**
 * The one that is handed on: the fittest; of a Pareto front the fittest whose loss is below those of the parents and of their
 * uniform average, or where there is none, the one with the lowest loss.
 */
export function chosenOf(state: EvolutionState): Individual {
  if (state.memory?.kind !== 'nsga2') return bestOf(state);
  const front = paretoFrontOf(state);
  const trivial = state.individuals.filter(({ origin }) => origin === 'parent' || origin === 'uniform');
  const better = front.filter((one) => trivial.every((other) => lossOf(one) < lossOf(other)));
  return (better.toSorted(byFitness)[0] ?? front[0]) as Individual;
}

function lossOf({ measured }: Individual): number {
  const loss = measured?.lossNats ?? Number.POSITIVE_INFINITY;
  return Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
}

/** The parent with the lowest loss on the fitness split. */
export function bestParentOf(state: EvolutionState): Individual {
  const parents = state.individuals.filter(({ origin }) => origin === 'parent');
  return parents.toSorted((a, b) => lossOf(a) - lossOf(b))[0] as Individual;
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
  const isReseeded = options.strategy === 'tournament' && diversity < options.diversityFloor;
  const reseeded = isReseeded ? Math.max(1, Math.floor(options.population / 4)) : 0;
  const { fitness: best = 0, measured } = bestOf(rated);
  const record: GenerationRecord = {
    generation: state.generation,
    best,
    mean: ranked.reduce((sum, { fitness = 0 }) => sum + fitness, 0) / ranked.length,
    diversity,
    ...(measured?.taskAccuracy === undefined ? {} : { taskAccuracy: measured.taskAccuracy }),
    reseeded,
  };
  const history = [...state.history, record];
  const closed = { ...rated, history };
  const ended = endReason(history, options);
  if (ended) return { ...closed, ended };
  const generation = state.generation + 1;
  const scene = { generation, individuals: rated.individuals, population: populationOf(rated), ranked };
  const { children, memory } = breed({ ...scene, reseed: reseeded, memory: state.memory }, options, rng);
  return {
    ...closed,
    individuals: [...closed.individuals, ...children],
    population: children.map(({ id }) => id),
    generation,
    ...(memory && { memory }),
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
