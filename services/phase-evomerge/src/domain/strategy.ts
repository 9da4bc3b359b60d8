import type { Philox } from '@agentforge/tensor';
import {
  type Birth,
  type BreedingOptions,
  birthOf,
  firstGeneration,
  nextGeneration,
  trivialOnes,
} from './breeding.js';
import type { Measured } from './fitness.js';
import type { Individual, Origin } from './individual.js';
import type { SourceId } from './recipe.js';
import { penalised } from './search/boundary.js';
import { beginCma, type CmaState, learnCma, sampleCma } from './search/cma-es.js';
import { codecOf } from './search/codec.js';
import { offspring, surviving } from './search/nsga2.js';
import { costsOf } from './search/objectives.js';
import type { Codec, DfsScaling, VectorOperator } from './search/vector-space.js';

/** How a search goes from generation to generation. */
export const STRATEGIES = ['tournament', 'cma-es', 'nsga2'] as const;

/** One of {@link STRATEGIES}. */
export type StrategyName = (typeof STRATEGIES)[number];

/** Id of the uniform average: the first one that is born. */
const UNIFORM: SourceId = 'g0-0';

/** How a search goes and what it searches. */
export interface StrategyOptions extends BreedingOptions {
  readonly strategy: StrategyName;
  /** What vectors stand for; of no effect on a tournament. */
  readonly vector: {
    readonly operator: VectorOperator;
    /** Standard deviation of the genes of the first samples. */
    readonly sigma: number;
    readonly dfsRepeats: number;
    readonly dfsScaling: DfsScaling;
    readonly droppedLayers: number;
  };
}

/** What a strategy remembers from generation to generation besides individuals. Plain JSON. */
export type StrategyMemory =
  | { readonly kind: 'cma-es'; readonly cma: CmaState }
  | { readonly kind: 'nsga2'; readonly survivors: readonly SourceId[] };

/** A generation that was born, and what to remember until it is measured. */
export interface Brood {
  readonly children: readonly Individual[];
  readonly memory?: StrategyMemory | undefined;
}

/** What a generation is bred from. */
export interface Scene {
  /** Number of the generation to be bred. */
  readonly generation: number;
  /** Everyone who ever lived; the present ones with their fitness. */
  readonly individuals: readonly Individual[];
  readonly population: readonly Individual[];
  /** The present ones, fittest first; as many as a generation has. */
  readonly ranked: readonly Individual[];
  /** Random newcomers of a tournament. */
  readonly reseed: number;
  readonly memory: StrategyMemory | undefined;
}

/**
 * Generation 0. Parents and uniform average are always in it, so that the best is never worse than they are.
 * @param rng  of the whole search: the randomness of a generation is a stream of its own
 */
export function begin(options: StrategyOptions, rng: Philox): Brood {
  const stream = rng.stream('generation-0');
  if (options.strategy === 'tournament') return { children: firstGeneration(options, stream) };
  const codec = vectorCodec(options, rng);
  const birth = birthOf(0);
  const trivial = trivialOnes(options, birth);
  if (options.strategy === 'cma-es') {
    const cma = beginCma(codec.start, options.vector.sigma);
    const samples = sampleCma(cma, options.population, stream);
    const born = samples.map((genes) => vectorBirth(birth, codec, 'sample', genes));
    return { children: [...trivial, ...born], memory: { kind: 'cma-es', cma } };
  }
  const born = Array.from({ length: options.population }, (_, i) => {
    const genes = codec.start.map((x) => (i === 0 ? x : unit(x + options.vector.sigma * stream.normal())));
    return vectorBirth(birth, codec, 'initial', genes);
  });
  return { children: [...trivial, ...born], memory: { kind: 'nsga2', survivors: [] } };
}

/** The next generation. */
export function breed(scene: Scene, options: StrategyOptions, rng: Philox): Brood {
  const stream = rng.stream(`generation-${scene.generation}`);
  const { memory, generation, ranked, reseed } = scene;
  switch (memory?.kind) {
    case undefined:
      return { children: nextGeneration(generation, ranked, { ...options, reseed }, stream) };
    case 'cma-es':
      return breedSamples(scene, memory.cma, vectorCodec(options, rng), options.population, stream);
    case 'nsga2':
      return breedFront(scene, memory.survivors, vectorCodec(options, rng), options.population, stream);
  }
}

/** Genes of the vectors that a strategy searches. */
export function geneCount(options: StrategyOptions, rng: Philox): number {
  return options.strategy === 'tournament' ? 0 : vectorCodec(options, rng).start.length;
}

function breedSamples(
  { generation, population }: Scene,
  before: CmaState,
  codec: Codec,
  count: number,
  rng: Philox,
): Brood {
  const sampled = population.filter(({ genes }) => genes);
  const samples = sampled.map(({ genes }) => genes as readonly number[]);
  const variance = before.covariance.reduce((sum, row, i) => sum + (row[i] as number), 0);
  const losses = penalised(
    samples,
    sampled.map(({ fitness = 0 }) => -fitness),
    (before.sigma ** 2 * variance) / before.mean.length,
  );
  const cma = learnCma(before, samples, losses);
  const best = losses.map((_, i) => i).sort((i, j) => (losses[i] as number) - (losses[j] as number));
  const bredFrom = best.slice(0, Math.floor(count / 2)).map((i) => (sampled[i] as Individual).id);
  const birth = birthOf(generation);
  const children = sampleCma(cma, count, rng).map((genes) => ({
    ...vectorBirth(birth, codec, 'sample', genes),
    bredFrom,
  }));
  return { children, memory: { kind: 'cma-es', cma } };
}

function breedFront(
  { generation, individuals, population }: Scene,
  before: readonly SourceId[],
  codec: Codec,
  count: number,
  rng: Philox,
): Brood {
  const living = [
    ...individuals.filter(({ id }) => before.includes(id)),
    ...population.filter(({ genes }) => genes),
  ];
  const costs = living.map(({ measured }) => costsOf(measured as Measured));
  const survivors = surviving(costs, count);
  const contenders = survivors.map((i) => ({
    genes: (living[i] as Individual).genes as readonly number[],
    costs: costs[i] as readonly number[],
  }));
  const birth = birthOf(generation);
  const idOf = (i: number) => (living[survivors[i] as number] as Individual).id;
  const children = offspring(contenders, count, rng).map(({ genes, parents }) => ({
    ...vectorBirth(birth, codec, 'crossover', genes),
    bredFrom: [...new Set(parents.map(idOf))],
  }));
  return { children, memory: { kind: 'nsga2', survivors: survivors.map((_, i) => idOf(i)) } };
}

/** Layers of data-flow space come from the uniform average too, which is where it begins. */
function vectorCodec({ vector, parents, space }: StrategyOptions, rng: Philox): Codec {
  return codecOf({
    operator: vector.operator,
    sources: vector.operator === 'dfs' ? [...parents, UNIFORM] : parents,
    layers: space.layers,
    dareRescale: space.dareRescale,
    maskSeed: rng.stream('masks').uint32(),
    dfs: {
      extraLayers: space.extraLayers,
      droppedLayers: vector.droppedLayers,
      repeats: vector.dfsRepeats,
      scaling: vector.dfsScaling,
    },
  });
}

function vectorBirth(birth: Birth, codec: Codec, origin: Origin, genes: readonly number[]): Individual {
  return { ...birth(origin, codec.decode(genes), codec.layers), genes };
}

function unit(x: number): number {
  return Math.min(1, Math.max(0, x));
}
