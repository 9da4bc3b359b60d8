import { parameterShapes } from '@agentforge/model';
import type { FileSet, PhaseContext } from '@agentforge/phase-runtime/worker';
import { Philox } from '@agentforge/tensor';
import { uniformRecipe } from './domain/breeding.js';
import { diversityOf, ownDiversities, sketch } from './domain/diversity.js';
import {
  advance,
  beginEvolution,
  type EvolutionOptions,
  type EvolutionState,
  populationOf,
  recordDiversities,
  recordMeasurement,
  unmeasured,
} from './domain/evolution.js';
import { TooManyGenesError } from './domain/evomerge.errors.js';
import { type EvomergeConfig, patienceOf, vectorOperatorOf } from './domain/evomerge-config.js';
import type { Measured } from './domain/fitness.js';
import type { Individual } from './domain/individual.js';
import { asVector, layersOf, shapesOf, type Weights } from './domain/layout.js';
import { merge } from './domain/merge.js';
import type { SourceId } from './domain/recipe.js';
import { geneCount } from './domain/strategy.js';
import { WeightPool } from './domain/weight-pool.js';
import type { Candidate, Evaluator } from './evaluation/evaluator.js';
import { decodeEvolution, encodeEvolution } from './evolution-checkpoint.js';
import type { MergeInputs } from './merge-inputs.js';

/** A covariance matrix of more genes takes longer than what it is learnt from. */
const MAX_GENES = 512;

/** What a search found. */
export interface Evolved {
  readonly state: EvolutionState;
  readonly pool: WeightPool;
}

/**
 * The search. Its whole state is the list of individuals with their recipes and measurements, and what the strategy
 * remembers: weights are made from recipes, and the randomness of a generation comes from its number, so a checkpoint is
 * JSON of some kilobytes.
 */
export class Evolving {
  private readonly rng: Philox;
  private readonly options: EvolutionOptions;
  private readonly pool: WeightPool;
  private readonly parents: ReadonlyMap<SourceId, Weights>;
  private state: EvolutionState;
  private byId = new Map<SourceId, Individual>();

  constructor(
    private readonly context: PhaseContext<EvomergeConfig>,
    private readonly inputs: MergeInputs,
    private readonly evaluator: Evaluator,
  ) {
    const { config } = context;
    this.rng = new Philox(context.seed).stream('evomerge');
    this.parents = new Map(inputs.parents.map(({ id, weights }) => [id, weights]));
    this.options = optionsOf(config, [...this.parents.keys()], inputs.config.numLayers);
    this.pool = new WeightPool(
      this.parents,
      baseOf(config, [...this.parents.values()]),
      (id) => this.individual(id),
      shapesOf(parameterShapes(inputs.config)),
      config.max_memory_mib * 2 ** 20,
    );
    this.state = beginEvolution(this.options, this.rng);
    this.enter(this.state);
  }

  /** Searches until generations or patience run out. */
  async run(): Promise<Evolved> {
    const identity = ['models', 'tasks'].flatMap((port) =>
      this.context.inputs(port).map(({ ref }) => ref.digest),
    );
    const restored = await this.context.restore((checkpoint) => decodeEvolution(checkpoint, identity));
    if (restored) this.enter(restored);
    const save = async () => {
      if (this.context.isSafePointDue()) await this.context.safePoint(() => this.snapshot(identity));
    };
    while (!this.state.ended) {
      await this.measureGeneration(save);
      this.closeGeneration();
    }
    return { state: this.state, pool: this.pool };
  }

  /** Measures whoever is not measured yet; of equal recipes one for all. */
  private async measureGeneration(save: () => Promise<void>): Promise<void> {
    const equals = new Map<string, Individual[]>();
    for (const individual of unmeasured(this.state)) {
      const key = recipeKey(individual);
      equals.set(key, [...(equals.get(key) ?? []), individual]);
    }
    const candidates: Candidate[] = [];
    for (const [key, individuals] of equals) {
      const known = this.state.individuals.find((one) => one.measured && recipeKey(one) === key);
      const [first] = individuals as [Individual];
      if (known?.measured) this.record(individuals, known.measured);
      else {
        const sourceOf = (id: SourceId) => this.individual(id);
        candidates.push({ individual: first, weights: () => this.pool.get(first.id), sourceOf });
      }
    }
    await this.evaluator.measure(candidates, async ({ individual }, measured) => {
      this.record(equals.get(recipeKey(individual)) ?? [], measured);
      await save();
    });
  }

  private record(individuals: readonly Individual[], measured: Measured): void {
    for (const { id } of individuals) this.enter(recordMeasurement(this.state, id, measured));
    const { generations, population } = this.options;
    const { generation } = this.state;
    const done = Math.max(0, 1 - unmeasured(this.state).length / population);
    const fraction = (0.95 * (generation + done)) / (generations + 1);
    this.context.progress(fraction, `measuring generation ${generation}`);
  }

  private closeGeneration(): void {
    const names = [...(this.inputs.parents[0]?.weights.keys() ?? [])];
    const population = populationOf(this.state).map(({ id }) => sketch(this.pool.get(id), names));
    const parents = [...this.parents.values()].map((weights) => sketch(weights, names));
    this.enter(recordDiversities(this.state, ownDiversities(population, parents)));
    this.enter(advance(this.state, diversityOf(population, parents), this.options, this.rng));
    this.pool.dropBefore(this.state.generation - 2);
    const last = this.state.history.at(-1);
    if (!last) return;
    const { generation: step, best, mean, diversity, taskAccuracy } = last;
    this.context.progress((0.95 * (step + 1)) / (this.options.generations + 1), `generation ${step}`, [
      { series: 'fitness/best', subject: '', step, value: best },
      { series: 'fitness/mean', subject: '', step, value: mean },
      { series: 'diversity', subject: '', step, value: diversity },
      ...(taskAccuracy === undefined
        ? []
        : [{ series: 'task_accuracy/best', subject: '', step, value: taskAccuracy }]),
    ]);
  }

  private snapshot(identity: readonly string[]): FileSet {
    return encodeEvolution(this.state, identity);
  }

  private individual(id: SourceId): Individual {
    const individual = this.byId.get(id);
    if (!individual) throw new TypeError(`there is no individual ${id}`);
    return individual;
  }

  private enter(state: EvolutionState): void {
    this.state = state;
    this.byId = new Map(state.individuals.map((individual) => [individual.id, individual]));
  }
}

/**
 * Checks that the genes of a search can be learnt.
 * @throws TooManyGenesError  INVALID_ARGUMENT
 */
export function requireSearchable(config: EvomergeConfig, models: number, layers: number): void {
  const parents = Array.from({ length: models }, (_, i) => `p${i}`);
  // Their number does not depend on the seed.
  const genes = geneCount(optionsOf(config, parents, layers), new Philox(0));
  if (genes > MAX_GENES) throw new TooManyGenesError(genes, MAX_GENES);
}

function optionsOf(config: EvomergeConfig, parents: readonly SourceId[], layers: number): EvolutionOptions {
  return {
    generations: config.generations,
    population: config.population,
    strategy: config.strategy,
    plateauGenerations: patienceOf(config),
    plateauDelta: config.plateau_delta,
    diversityFloor: config.diversity_floor,
    weights: config.fitness_weights,
    sigma: config.mutation_sigma,
    parents,
    space: {
      operators: config.operators,
      layers,
      extraLayers: config.extra_layers,
      dareRescale: config.dare_rescale,
    },
    vector: {
      operator: vectorOperatorOf(config),
      sigma: config.vector.sigma,
      dfsRepeats: config.vector.dfs_repeats,
      dfsScaling: config.vector.dfs_scaling,
      droppedLayers: config.vector.dropped_layers,
    },
  };
}

/** What task vectors are measured from. */
export function baseOf(config: Pick<EvomergeConfig, 'base'>, parents: readonly Weights[]): Weights {
  return config.base === 'first' ? (parents[0] ?? new Map()) : uniformAverage(parents);
}

/** The mean of all parents, tensor by tensor. */
export function uniformAverage(parents: readonly Weights[]): Map<string, Float32Array> {
  const [first] = parents;
  if (!first) return new Map();
  const names = parents.map((_, i) => `p${i}`);
  return merge(uniformRecipe(names, layersOf(first)), parents, first, asVector);
}

/** Sources have names for life, so equal recipes make equal models. Parents differ from everyone. */
function recipeKey({ id, recipe }: Individual): string {
  return recipe ? JSON.stringify(recipe) : id;
}
