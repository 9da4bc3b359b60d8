import { z } from 'zod';
import { DARE_RESCALE, GENOME_OPERATORS, OPERATORS } from './recipe.js';
import { VECTOR_OPERATORS, type VectorOperator } from './search/vector-space.js';
import { STRATEGIES } from './strategy.js';

const weight = (share: number) => z.number().min(0).max(1).default(share);

/** Default number of generations without progress: short for a tournament, which begins with what is known to be good. */
const PATIENCE = { tournament: 3, 'cma-es': 20, nsga2: 20 } as const;

const vectorConfig = z
  .strictObject({
    operator: z
      .enum(VECTOR_OPERATORS)
      .optional()
      .describe('Operator whose numbers are searched. Default: linear for cma-es, dfs for nsga2'),
    sigma: z
      .number()
      .min(1e-4)
      .max(1)
      .default(0.1)
      .describe('Standard deviation of the genes, which lie between 0 and 1, of the first generation'),
    dfs_repeats: z
      .int()
      .min(1)
      .max(8)
      .default(2)
      .describe('dfs: how often the sequence of all layers of all sources is gone through'),
    dfs_scaling: z
      .enum(['layer', 'pair'])
      .default('layer')
      .describe('dfs: a gene for the input scale of each layer, or of each pair of successive layers'),
    dropped_layers: z
      .int()
      .min(0)
      .max(64)
      .default(1)
      .describe('dfs: layers that a candidate may have less than the models'),
  })
  .prefault({})
  .describe('What cma-es and nsga2 search: vectors of genes between 0 and 1 that stand for recipes');

/** Configuration of the phase. */
export const evomergeConfig = z.strictObject({
  strategy: z
    .enum(STRATEGIES)
    .default('tournament')
    .describe(
      'tournament: recipes of all operators; cma-es: the numbers of one operator; nsga2: those, for several objectives at once',
    ),
  operators: z
    .array(z.enum(GENOME_OPERATORS))
    .min(1)
    .max(GENOME_OPERATORS.length)
    .default([...OPERATORS])
    .describe('Operators of the genome of a tournament'),
  vector: vectorConfig,
  generations: z.int().min(0).max(500).default(50).describe('Generations after the first'),
  population: z.int().min(4).max(64).default(8).describe('Individuals of a generation'),
  mutation_sigma: z
    .number()
    .min(1e-4)
    .max(1)
    .default(0.15)
    .describe('Size of the largest mutations of a tournament'),
  plateau_generations: z
    .int()
    .min(1)
    .max(500)
    .optional()
    .describe('Generations without progress that end the search. Default: 3 for a tournament, otherwise 20'),
  plateau_delta: z
    .number()
    .min(0)
    .max(1)
    .default(0.001)
    .describe('Gain of the best fitness that counts as progress'),
  diversity_floor: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe('Diversity below which a quarter of the next generation of a tournament is random'),
  extra_layers: z.int().min(0).max(16).default(0).describe('Layers that frankenmerge and dfs may add'),
  base: z
    .enum(['mean', 'first'])
    .default('mean')
    .describe('What task vectors are measured from: the mean of the models, or the first one'),
  dare_rescale: z
    .enum([DARE_RESCALE.matchL1, DARE_RESCALE.inverseDensity, DARE_RESCALE.none])
    .default(DARE_RESCALE.matchL1)
    .describe('How DARE and DELLA make up for what they drop: as mergekit, as the papers, or not'),
  fitness_weights: z
    .strictObject({
      perplexity: weight(0.4).describe('Perplexity on the fitness split'),
      tasks: weight(0.3).describe('Task accuracy; its weight goes to the others while there are no tasks'),
      speed: weight(0.2).describe('Operations per token'),
      size: weight(0.1).describe('Parameters'),
    })
    .prefault({})
    .describe('Weights of the parts of the fitness, relative to each other'),
  fitness_tokens: z
    .int()
    .min(16)
    .max(100_000_000)
    .default(16_384)
    .describe('Tokens of the fitness split that individuals are measured on'),
  fitness_tasks: z
    .int()
    .min(1)
    .max(100_000)
    .default(128)
    .describe('Tasks that individuals are measured on, where there are tasks: the first of them'),
  sequence_length: z
    .int()
    .min(8)
    .max(131_072)
    .default(128)
    .describe('Tokens per row when measuring; at most the positions of the models'),
  batch_size: z.int().min(1).max(4096).default(16).describe('Rows per forward pass when measuring'),
  early_stop_margin: z
    .number()
    .min(0)
    .max(10)
    .default(0.05)
    .describe(
      'Nats per token by which a candidate may be worse than the best parent after 1/4 and 1/2 of the tokens; beyond, it is not measured further. 0: all are measured to the end',
    ),
  max_memory_mib: z
    .int()
    .min(16)
    .max(1_048_576)
    .default(2048)
    .describe('Weights of individuals kept in memory; what does not fit is merged again when needed'),
  checkpoint_interval_s: z
    .number()
    .min(1)
    .max(30)
    .default(15)
    .describe('Seconds of work between two checkpoints'),
});

/** A checked configuration. */
export type EvomergeConfig = z.output<typeof evomergeConfig>;

/** Generations without progress that end a search. */
export function patienceOf(config: Pick<EvomergeConfig, 'strategy' | 'plateau_generations'>): number {
  return config.plateau_generations ?? PATIENCE[config.strategy];
}

/** The operator whose numbers are searched as vectors. */
export function vectorOperatorOf({
  strategy,
  vector,
}: Pick<EvomergeConfig, 'strategy' | 'vector'>): VectorOperator {
  return vector.operator ?? (strategy === 'nsga2' ? 'dfs' : 'linear');
}

/** One thing wrong with a configuration. */
export interface ConfigViolation {
  readonly field: string;
  readonly description: string;
}

/** Rules that span fields. */
export function checkEvomergeConfig(config: EvomergeConfig): ConfigViolation[] {
  const violations: ConfigViolation[] = [];
  const { perplexity, speed, size } = config.fitness_weights;
  if (perplexity + speed + size === 0) {
    violations.push({ field: 'fitness_weights', description: 'perplexity, speed and size are all 0' });
  }
  if (new Set(config.operators).size !== config.operators.length) {
    violations.push({ field: 'operators', description: 'an operator occurs twice' });
  }
  if (config.strategy === 'nsga2' && !hasSizes(config)) {
    const description =
      'nsga2 needs models of different sizes: operator dfs, and extra_layers or vector.dropped_layers above 0';
    violations.push({ field: 'strategy', description });
  }
  return [...violations, ...ineffective(config)];
}

/** Fields of `vector`. */
const VECTOR_FIELDS = ['operator', 'sigma', 'dfs_repeats', 'dfs_scaling', 'dropped_layers'] as const;

/** Settings of other strategies and operators. Defaults are filled in by now: what differs from them was asked for. */
function ineffective(config: EvomergeConfig): ConfigViolation[] {
  const defaults = evomergeConfig.parse({});
  const { strategy, vector } = config;
  const changed = <Part extends object>(path: string, part: Part, of: Part, names: readonly (keyof Part)[]) =>
    names
      .filter((name) => JSON.stringify(part[name]) !== JSON.stringify(of[name]))
      .map((name) => path + String(name));
  const refuse = (fields: readonly string[], description: string) =>
    fields.map((field) => ({ field, description }));
  if (strategy === 'tournament') {
    return refuse(
      changed('vector.', vector, defaults.vector, VECTOR_FIELDS),
      'has no effect on a tournament: leave it out, or set strategy to cma-es or nsga2',
    );
  }
  const own = refuse(
    changed('', config, defaults, ['operators', 'mutation_sigma', 'diversity_floor']),
    `has no effect on ${strategy}, which searches vector.operator: leave it out, or set strategy to tournament`,
  );
  if (vectorOperatorOf(config) === 'dfs') return own;
  const dfs = changed('vector.', vector, defaults.vector, ['dfs_repeats', 'dfs_scaling', 'dropped_layers']);
  return [
    ...own,
    ...refuse(
      dfs,
      `has no effect on ${vectorOperatorOf(config)}: leave it out, or set vector.operator to dfs`,
    ),
  ];
}

/** Whether candidates differ in speed and size, and not in their losses only. */
function hasSizes(config: EvomergeConfig): boolean {
  return vectorOperatorOf(config) === 'dfs' && config.extra_layers + config.vector.dropped_layers > 0;
}

/** Parameters of a model whose size is not known before its artifact is read: the `pico` preset. */
const ASSUMED_PARAMETERS = 2_000_000;

/** What a configuration takes, for models of the smallest preset; larger ones scale in proportion. */
export function estimateEvomerge(config: EvomergeConfig) {
  const evaluations = config.population * (config.generations + 1);
  return {
    parameters: ASSUMED_PARAMETERS,
    memoryBytes: 4 * ASSUMED_PARAMETERS * (2 * config.population + 8),
    // 2 N per token of a forward pass (Kaplan et al. 2020, arXiv:2001.08361 §2.1).
    flop: 2 * ASSUMED_PARAMETERS * config.fitness_tokens * evaluations,
  };
}
