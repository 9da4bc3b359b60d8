import {
  countParameters,
  InvalidModelConfigError,
  type ModelConfig,
  memorySettings,
  netCalls,
  parseModelConfig,
  presetConfig,
  recursionSchema,
  titansMag,
} from '@agentforge/model';
import { z } from 'zod';
import { GENERATOR_NAMES } from './generators/generators.js';

const { latentSteps, cycles, supervisionSteps, haltThreshold } = recursionSchema.shape;

const share = z.number().min(0).max(0.9);

const specialisation = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/)
    .describe('Lower-case name; the model is called founder-<name>'),
  sequence_length: z
    .int()
    .min(8)
    .max(131_072)
    .optional()
    .describe(
      'Tokens per row of this model; rows per batch change so that a step keeps its tokens. Default: that of the phase',
    ),
  arithmetic: share.default(0).describe('Share of rows that are generated arithmetic with exact answers'),
  modular: share.default(0).describe('Share of rows from the tables of +, - and * modulo small primes'),
  automata: share.default(0).describe('Share of rows that are elementary cellular automata'),
  recall: share.default(0).describe('Share of rows with codes to find again behind other sentences'),
  surprise_weight: z
    .number()
    .min(0.01)
    .max(0.99)
    .default(0.5)
    .describe('titans-mag only: share of max_step that the memory steps have when this model forks off'),
  halt_threshold: haltThreshold
    .optional()
    .describe('recursion only: halting threshold of this model. Default: that of the phase'),
  region: z
    .strictObject({
      from: z.number().min(0).max(1).describe('Where the region begins, as a part of the train split'),
      to: z.number().min(0).max(1).describe('Where it ends'),
      share: share.describe('Share of rows that come from the region only'),
    })
    .optional()
    .describe('A part of the train split that this model sees more often'),
});

/** What sets one founding model apart: the data it learns from. */
export type Specialisation = z.output<typeof specialisation>;

/** What sets models apart where the configuration does not say, whatever their architecture: some of it has no effect then. */
const DEFAULT_SPECIALISATIONS = [
  { name: 'reasoning', arithmetic: 0.05, surprise_weight: 0.7, halt_threshold: 0.95 },
  { name: 'memory', sequence_length: 256, surprise_weight: 0.5, halt_threshold: 0.9 },
  { name: 'speed', sequence_length: 64, surprise_weight: 0.3, halt_threshold: 0.99 },
].map((one) => specialisation.parse(one));

/** Configuration of the phase. Lengths in tokens. */
export const cognateConfig = z.strictObject({
  architecture: z
    .enum(['llama', 'titans-mag'])
    .default('llama')
    .describe('llama; titans-mag: attention over a window and a neural memory beside it'),
  preset: z.enum(['pico', 'nano', 'small', 'base']).default('pico').describe('Size of the models'),
  vocab_size: z
    .int()
    .min(257)
    .max(65_536)
    .optional()
    .describe('Ids of the tokenizer. Default: that of the preset'),
  context_length: z
    .int()
    .min(16)
    .max(131_072)
    .optional()
    .describe('Positions of the models. Default: that of the preset'),
  window: z
    .int()
    .min(1)
    .max(131_072)
    .optional()
    .describe('titans-mag: tokens that attention sees. Default: a quarter of the context'),
  memory: memorySettings.optional().describe('titans-mag: the neural memory of each block'),
  recursion: z
    .strictObject({
      latent_steps: latentSteps
        .default(2)
        .describe('Refinements of the latent state before each one of the answer'),
      cycles: cycles.default(2).describe('Cycles of a supervision step; only the last one has a gradient'),
      supervision_steps: supervisionSteps
        .default(4)
        .describe('Answers given and trained one after the other'),
      halt_threshold: haltThreshold
        .default(0.95)
        .describe('Probability of being right above which a position keeps its answer'),
    })
    .optional()
    .describe(
      'The blocks run on their own results, with deep supervision and halting. Default: they run once',
    ),
  tokenizer: z
    .enum(['bpe', 'byte'])
    .default('bpe')
    .describe('bpe: byte-level BPE trained on the train split; byte: one id per byte'),
  count: z.int().min(1).max(8).default(3).describe('Models to create'),
  specialisations: z
    .array(specialisation)
    .min(1)
    .max(8)
    .default(DEFAULT_SPECIALISATIONS)
    .describe('What sets the models apart; used in order, and again from the start when count is larger'),
  steps: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(700)
    .describe('Optimizer steps of each model, the shared ones included'),
  shared_steps: z
    .int()
    .min(0)
    .max(10_000_000)
    .default(400)
    .describe('First steps, on the plain corpus, that all models have in common; computed once'),
  batch_size: z.int().min(1).max(4096).default(16).describe('Rows per batch'),
  sequence_length: z.int().min(8).max(131_072).default(128).describe('Tokens per row'),
  curriculum: z
    .strictObject({
      sequence_length: z.int().min(8).max(131_072).describe('Tokens per row at the first step'),
      steps: z
        .int()
        .min(1)
        .max(10_000_000)
        .describe('Steps after which rows have their full length; until then they double at even intervals'),
    })
    .optional()
    .describe('Short rows first; a step keeps its tokens. Default: full rows from the beginning'),
  accumulation: z.int().min(1).max(1024).default(1).describe('Batches per optimizer step'),
  precision: z
    .enum(['f32', 'bf16'])
    .default('f32')
    .describe('Operands of dense products; weights, moments and sums are f32 either way'),
  optimizer: z
    .enum(['adamw', 'muon'])
    .default('adamw')
    .describe('adamw; muon: Muon for the matrices inside blocks, AdamW for everything else'),
  learning_rate: z
    .number()
    .min(1e-8)
    .max(1)
    .default(1.2e-3)
    .describe('Largest learning rate, reached after the warm-up'),
  min_learning_rate: z.number().min(0).max(1).default(1.2e-4).describe('Learning rate of the last step'),
  warmup_steps: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(40)
    .describe('Steps of linear warm-up before the cosine'),
  beta1: z.number().min(0).max(0.9999).default(0.9).describe('AdamW: decay of the first moment'),
  beta2: z.number().min(0).max(0.99999).default(0.95).describe('AdamW: decay of the second moment'),
  weight_decay: z.number().min(0).max(10).default(0.1).describe('AdamW: decoupled decay of matrices'),
  muon_learning_rate: z
    .number()
    .min(1e-6)
    .max(1)
    .default(0.02)
    .describe("muon only: largest learning rate; it follows AdamW's schedule in proportion"),
  muon_momentum: z
    .number()
    .min(0)
    .max(0.999)
    .default(0.95)
    .describe('muon only: decay of the running gradient'),
  muon_weight_decay: z.number().min(0).max(10).default(0.01).describe('muon only: decoupled decay'),
  clip_norm: z.number().min(1e-4).max(1e6).default(1).describe('Largest norm of all gradients together'),
  eval_interval: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(50)
    .describe('Steps between two points of the fitness curve'),
  eval_tokens: z
    .int()
    .min(16)
    .max(100_000_000)
    .default(8192)
    .describe('Tokens of the fitness split for such a point'),
  checkpoint_interval_s: z
    .number()
    .min(1)
    .max(30)
    .default(15)
    .describe('Seconds of work between two checkpoints'),
});

/** A checked configuration. */
export type CognateConfig = z.output<typeof cognateConfig>;

/** One thing wrong with a configuration. */
export interface ConfigViolation {
  readonly field: string;
  readonly description: string;
}

/** Rules that span fields. */
export function checkCognateConfig(config: CognateConfig): ConfigViolation[] {
  const violations: ConfigViolation[] = [];
  const refuse = (field: string, description: string) => violations.push({ field, description });
  const context = config.context_length ?? presetConfig(config.preset).contextLength;
  if (config.sequence_length > context) {
    refuse('sequence_length', `is ${config.sequence_length}; the models have ${context} positions`);
  }
  config.specialisations.forEach((one, i) => {
    const at = `specialisations[${i}]`;
    if (one.sequence_length !== undefined && one.sequence_length > context) {
      refuse(`${at}.sequence_length`, `is ${one.sequence_length}; the models have ${context} positions`);
    }
    if (one.region && one.region.from >= one.region.to) refuse(`${at}.region.to`, 'must be above from');
    if (shareBesidesCorpus(one) > 0.95) {
      refuse(at, 'generated rows and region together leave less than 5 % of the rows to the corpus');
    }
    if (config.specialisations.findIndex(({ name }) => name === one.name) !== i) {
      refuse(`${at}.name`, `"${one.name}" occurs twice`);
    }
  });
  if (config.curriculum && config.curriculum.sequence_length > config.sequence_length) {
    const { sequence_length } = config.curriculum;
    refuse(
      'curriculum.sequence_length',
      `is ${sequence_length}; must be at most sequence_length (${config.sequence_length})`,
    );
  }
  for (const { field, description } of shapeViolations(config)) refuse(field, description);
  for (const { field, description } of settingsWithoutEffect(config)) refuse(field, description);
  if (config.shared_steps >= config.steps) {
    refuse('shared_steps', `is ${config.shared_steps}; must be below steps (${config.steps})`);
  }
  if (config.warmup_steps > config.steps) {
    refuse('warmup_steps', `is ${config.warmup_steps}; must be at most steps (${config.steps})`);
  }
  if (config.min_learning_rate > config.learning_rate) {
    refuse(
      'min_learning_rate',
      `is ${config.min_learning_rate}; must be at most learning_rate (${config.learning_rate})`,
    );
  }
  return violations;
}

/** Share of the rows of a model that are not drawn from the whole train split. */
export function shareBesidesCorpus(one: Specialisation): number {
  const generated = GENERATOR_NAMES.reduce((sum, name) => sum + one[name], 0);
  return generated + (one.region?.share ?? 0);
}

/** The shape of the models. */
export function modelConfigOf(config: CognateConfig): ModelConfig {
  const shape = presetConfig(config.preset, {
    ...(config.vocab_size === undefined ? {} : { vocabSize: config.vocab_size }),
    ...(config.context_length === undefined ? {} : { contextLength: config.context_length }),
  });
  const whole = config.architecture === 'titans-mag' ? titansMag(shape, config) : shape;
  const { recursion } = config;
  if (!recursion) return whole;
  const { latent_steps, cycles, supervision_steps, halt_threshold } = recursion;
  return parseModelConfig({
    ...whole,
    recursion: {
      latentSteps: latent_steps,
      cycles,
      supervisionSteps: supervision_steps,
      haltThreshold: halt_threshold,
    },
  });
}

/** What is wrong with window and memory. */
function shapeViolations(config: CognateConfig): readonly ConfigViolation[] {
  if (config.architecture === 'llama') {
    return (['window', 'memory'] as const)
      .filter((field) => config[field] !== undefined)
      .map((field) => ({ field, description: 'is part of titans-mag; architecture is llama' }));
  }
  try {
    modelConfigOf(config);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidModelConfigError)) throw error;
    return error.fieldViolations;
  }
}

const MUON_SETTINGS = ['muon_learning_rate', 'muon_momentum', 'muon_weight_decay'] as const;

/** Settings that were changed and that nothing looks at. What is as it comes was not asked for. */
function settingsWithoutEffect(config: CognateConfig): ConfigViolation[] {
  const violations: ConfigViolation[] = [];
  const refuse = (field: string, value: unknown, fix: string) =>
    violations.push({ field, description: `is ${value} and has no effect; ${fix}, or leave it out` });
  const asItComes = cognateConfig.parse({});
  if (config.optimizer !== 'muon') {
    for (const field of MUON_SETTINGS)
      if (config[field] !== asItComes[field]) refuse(field, config[field], 'set optimizer to muon');
  }
  const defaults = new Set(DEFAULT_SPECIALISATIONS.map((one) => JSON.stringify(one)));
  const unaltered = specialisation.parse({ name: 'any' });
  config.specialisations.forEach((one, i) => {
    if (defaults.has(JSON.stringify(one))) return;
    const at = `specialisations[${i}]`;
    const { surprise_weight, halt_threshold } = one;
    if (config.architecture === 'llama' && surprise_weight !== unaltered.surprise_weight)
      refuse(`${at}.surprise_weight`, surprise_weight, 'set architecture to titans-mag');
    if (!config.recursion && halt_threshold !== undefined)
      refuse(`${at}.halt_threshold`, halt_threshold, 'set recursion');
  });
  return violations;
}

/** Optimizer steps computed in all: the shared ones once. */
export function totalSteps(config: CognateConfig): number {
  return config.shared_steps + config.count * (config.steps - config.shared_steps);
}

/** What a configuration takes: f32 weights, gradients and moments, the shared state, and activations of one batch. */
export function estimateCognate(config: CognateConfig) {
  const shape = modelConfigOf(config);
  const { total: parameters } = countParameters(shape);
  const tokens = config.batch_size * config.sequence_length;
  const perToken =
    shape.numLayers * (16 * shape.hiddenSize + 4 * shape.intermediateSize) + 3 * shape.vocabSize;
  return {
    parameters,
    memoryBytes: 4 * (parameters * (4 + 3 + 6) + tokens * perToken * netRunsWithGradient(shape)),
    flop: flopPerParameter(shape) * parameters * tokens * config.accumulation * totalSteps(config),
  };
}

/** Runs of the blocks whose intermediates live at the same time: those of one cycle. */
function netRunsWithGradient({ recursion }: ModelConfig): number {
  return recursion ? recursion.latentSteps + 1 : 1;
}

/** 2 per parameter and token forward, 4 backward (Kaplan et al. 2020, arXiv:2001.08361 §2.1), for each run of the blocks. */
function flopPerParameter(shape: ModelConfig): number {
  const { recursion } = shape;
  if (!recursion) return 6;
  return 2 * netCalls(recursion) + 4 * recursion.supervisionSteps * netRunsWithGradient(shape);
}
