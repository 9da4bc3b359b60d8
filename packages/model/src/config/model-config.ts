import { z } from 'zod';
import { InvalidModelConfigError } from './config.errors.js';
import { memorySchema } from './memory-config.js';
import { recursionSchema } from './recursion-config.js';
import { ropeScalingSchema } from './rope-scaling.js';

/** Widths and counts are bounded so that a typing error fails here and not in an allocation. */
const count = (max: number) => z.int().min(1).max(max);

const tokenId = z.int().min(0).nullable();

const shape = z.strictObject({
  vocabSize: count(2 ** 20).describe('Rows of the embedding; at least the ids of the tokenizer'),
  hiddenSize: count(65_536).describe('Width of the residual stream, d'),
  numLayers: count(1024).describe('Transformer blocks, L'),
  numHeads: count(1024).describe('Query heads per block'),
  numKvHeads: count(1024).describe('Key and value heads per block; divides numHeads'),
  headDim: count(1024).describe('Width of a head; even, because RoPE turns pairs'),
  intermediateSize: count(262_144).describe('Width of the SwiGLU hidden layer'),
  contextLength: count(2 ** 20).describe('Positions the model is made for'),
  ropeTheta: z.number().positive().describe('Base of the RoPE wavelengths'),
  ropeScaling: ropeScalingSchema.optional().describe('Stretch of the RoPE wavelengths; absent: none'),
  rmsNormEps: z.number().positive().max(1).describe('Added to the mean square before the root'),
  tieWordEmbeddings: z.boolean().describe('Output projection is the embedding, transposed'),
  attentionBias: z.boolean().optional().describe('Attention projections add a bias; absent: they do not'),
  mlpBias: z.boolean().optional().describe('SwiGLU projections add a bias; absent: they do not'),
  slidingWindow: count(2 ** 20)
    .optional()
    .describe('Positions that attention sees, the own one included; absent: all'),
  memory: memorySchema.optional().describe('Neural memory beside the attention of each block; absent: none'),
  recursion: recursionSchema
    .optional()
    .describe('The blocks run on their own results, with halting; absent: once'),
  bosTokenId: tokenId.describe('Token before a text, or null'),
  eosTokenId: tokenId.describe('Token after a text, or null'),
});

const schema = shape.superRefine((config, context) => {
  const violated = (field: keyof typeof config, message: string): void => {
    context.addIssue({ code: 'custom', path: [field], message });
  };
  if (config.numHeads % config.numKvHeads !== 0) {
    violated('numKvHeads', `is ${config.numKvHeads}; must divide numHeads (${config.numHeads})`);
  }
  if (config.headDim % 2 !== 0) violated('headDim', `is ${config.headDim}; must be even`);
  const width = config.numHeads * config.headDim;
  if (config.memory && width % config.memory.heads !== 0) {
    violated('memory', `has ${config.memory.heads} heads; must divide numHeads · headDim (${width})`);
  }
  const { ropeScaling: scaling } = config;
  if (scaling?.type === 'llama3' && scaling.highFreqFactor <= scaling.lowFreqFactor) {
    violated(
      'ropeScaling',
      `has highFreqFactor ${scaling.highFreqFactor}; must be above lowFreqFactor (${scaling.lowFreqFactor})`,
    );
  }
  if (scaling?.type === 'factors' && scaling.factors.length !== config.headDim / 2) {
    violated(
      'ropeScaling',
      `has ${scaling.factors.length} factors; must have one for each pair of headDim (${config.headDim / 2})`,
    );
  }
  for (const field of ['bosTokenId', 'eosTokenId'] as const) {
    const id = config[field];
    if (id !== null && id >= config.vocabSize) {
      violated(field, `is ${id}; must be below vocabSize (${config.vocabSize})`);
    }
  }
});

/** Shape and constants of a Llama-shaped model. Lengths in elements, everything else dimensionless. */
export type ModelConfig = Readonly<z.infer<typeof shape>>;

/** @throws InvalidModelConfigError  INVALID_ARGUMENT: every violated field */
export function parseModelConfig(value: unknown): ModelConfig {
  const result = schema.safeParse(value);
  if (result.success) return Object.freeze(result.data);
  throw new InvalidModelConfigError(
    'model configuration',
    result.error.issues.map(({ path, message }) => ({ field: path.join('.'), description: message })),
  );
}

/** Name of a preset of the model family. */
export type PresetName = 'pico' | 'nano' | 'small' | 'base';

const FAMILY = {
  headDim: 64,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  bosTokenId: 0,
  eosTokenId: 0,
} as const;

/** The sizes of the family. Row lengths are multiples of 256 so that ternary file formats fit. */
export const PRESETS: Readonly<Record<PresetName, ModelConfig>> = {
  pico: preset(256, 3, 4, 2, 512, 1024, 256),
  nano: preset(256, 6, 4, 2, 768, 2048, 512),
  small: preset(512, 8, 8, 4, 1280, 4096, 1024),
  base: preset(768, 12, 12, 4, 2048, 8192, 2048),
};

function preset(
  hiddenSize: number,
  numLayers: number,
  numHeads: number,
  numKvHeads: number,
  intermediateSize: number,
  vocabSize: number,
  contextLength: number,
): ModelConfig {
  return parseModelConfig({
    vocabSize,
    hiddenSize,
    numLayers,
    numHeads,
    numKvHeads,
    intermediateSize,
    contextLength,
    ...FAMILY,
  });
}

/**
 * A preset, with fields replaced.
 * @throws InvalidModelConfigError  INVALID_ARGUMENT: unknown preset, or every violated field
 */
export function presetConfig(name: PresetName, overrides: Partial<ModelConfig> = {}): ModelConfig {
  if (!Object.hasOwn(PRESETS, name)) {
    throw new InvalidModelConfigError('model configuration', [
      {
        field: 'preset',
        description: `is ${JSON.stringify(name)}; must be one of ${Object.keys(PRESETS).join(', ')}`,
      },
    ]);
  }
  return parseModelConfig({ ...PRESETS[name], ...overrides });
}
