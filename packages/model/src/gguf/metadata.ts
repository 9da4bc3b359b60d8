import type { FieldViolation } from '@agentforge/errors';
import { InvalidModelConfigError } from '../config/config.errors.js';
import { type ModelConfig, parseModelConfig } from '../config/model-config.js';
import type { RopeScaling } from '../config/rope-scaling.js';
import { InvalidGgufError } from './gguf.errors.js';
import type { GgufMetadata, GgufValue } from './values.js';

/** The architecture that this family is in llama.cpp. */
export const ARCHITECTURE = 'llama';

const u32 = (value: number): GgufValue => ({ type: 'u32', value });
const f32 = (value: number): GgufValue => ({ type: 'f32', value: Math.fround(value) });

/** Configuration field of each key. */
const KEYS = {
  contextLength: 'llama.context_length',
  hiddenSize: 'llama.embedding_length',
  numLayers: 'llama.block_count',
  intermediateSize: 'llama.feed_forward_length',
  numHeads: 'llama.attention.head_count',
  numKvHeads: 'llama.attention.head_count_kv',
  headDim: 'llama.attention.key_length',
  rmsNormEps: 'llama.attention.layer_norm_rms_epsilon',
  ropeTheta: 'llama.rope.freq_base',
  vocabSize: 'llama.vocab_size',
  bosTokenId: 'tokenizer.ggml.bos_token_id',
  eosTokenId: 'tokenizer.ggml.eos_token_id',
} as const satisfies Partial<Record<keyof ModelConfig, string>>;

const VALUE_LENGTH = 'llama.attention.value_length';
const ROPE_DIMENSIONS = 'llama.rope.dimension_count';
const SCALING_TYPE = 'llama.rope.scaling.type';
const SCALING_FACTOR = 'llama.rope.scaling.factor';
/** Name of the factor in older files. */
const SCALING_FACTOR_BEFORE = 'llama.rope.scale_linear';

/** Metadata of a model as llama.cpp's loader expects them. */
export function architectureMetadata(config: ModelConfig): Map<string, GgufValue> {
  const scaling: [string, GgufValue][] =
    config.ropeScaling?.type === 'linear'
      ? [
          [SCALING_TYPE, { type: 'string', value: 'linear' }],
          [SCALING_FACTOR, f32(config.ropeScaling.factor)],
        ]
      : [];
  return new Map<string, GgufValue>([
    [KEYS.contextLength, u32(config.contextLength)],
    [KEYS.hiddenSize, u32(config.hiddenSize)],
    [KEYS.numLayers, u32(config.numLayers)],
    [KEYS.intermediateSize, u32(config.intermediateSize)],
    [KEYS.numHeads, u32(config.numHeads)],
    [KEYS.numKvHeads, u32(config.numKvHeads)],
    [KEYS.headDim, u32(config.headDim)],
    [VALUE_LENGTH, u32(config.headDim)],
    [KEYS.rmsNormEps, f32(config.rmsNormEps)],
    [ROPE_DIMENSIONS, u32(config.headDim)],
    [KEYS.ropeTheta, f32(config.ropeTheta)],
    ...scaling,
    [KEYS.vocabSize, u32(config.vocabSize)],
  ]);
}

/** What the tensors of a file say about its model. */
export interface TensorFacts {
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** Whether the file has no output projection of its own. */
  readonly isTied: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  /** What the angle of each pair is divided by; null when the file does not say. */
  readonly ropeFactors: Float32Array | null;
}

/**
 * The configuration that metadata describe.
 * @throws InvalidGgufError  INVALID_ARGUMENT: another architecture, missing keys, or settings this family lacks; all of them
 */
export function configFromMetadata(
  file: string,
  metadata: GgufMetadata,
  { vocabSize, isTied, attentionBias, mlpBias, ropeFactors }: TensorFacts,
): ModelConfig {
  const violations: FieldViolation[] = [];
  const architecture = metadata.get('general.architecture');
  if (architecture?.value !== ARCHITECTURE) {
    throw new InvalidGgufError(file, [
      {
        field: 'general.architecture',
        description: `is ${JSON.stringify(architecture?.value ?? null)}, must be "${ARCHITECTURE}"`,
      },
    ]);
  }
  const number = (key: string, otherwise?: number): number => {
    const entry = metadata.get(key);
    if (entry === undefined && otherwise !== undefined) return otherwise;
    if (entry !== undefined && ['u8', 'u16', 'u32', 'i32', 'u64', 'i64', 'f32', 'f64'].includes(entry.type)) {
      return entry.type === 'f32' ? shortest(Number(entry.value)) : Number(entry.value);
    }
    violations.push({ field: key, description: entry === undefined ? 'is missing' : 'must be a number' });
    return Number.NaN;
  };
  const numHeads = number(KEYS.numHeads);
  const hiddenSize = number(KEYS.hiddenSize);
  const headDim = number(KEYS.headDim, hiddenSize / numHeads);
  const linear =
    metadata.get(SCALING_TYPE)?.value === 'none'
      ? 1
      : number(SCALING_FACTOR, number(SCALING_FACTOR_BEFORE, 1));
  const ropeScaling = scalingOf(linear, ropeFactors);
  const config = {
    vocabSize,
    hiddenSize,
    numLayers: number(KEYS.numLayers),
    numHeads,
    numKvHeads: number(KEYS.numKvHeads, numHeads),
    headDim,
    intermediateSize: number(KEYS.intermediateSize),
    contextLength: number(KEYS.contextLength),
    ropeTheta: number(KEYS.ropeTheta, 10_000),
    ...(ropeScaling ? { ropeScaling } : {}),
    ...(attentionBias ? { attentionBias } : {}),
    ...(mlpBias ? { mlpBias } : {}),
    rmsNormEps: number(KEYS.rmsNormEps),
    tieWordEmbeddings: isTied,
    bosTokenId: metadata.has(KEYS.bosTokenId) ? number(KEYS.bosTokenId) : null,
    eosTokenId: metadata.has(KEYS.eosTokenId) ? number(KEYS.eosTokenId) : null,
  };
  const mustBe = (key: string, wanted: number): void => {
    const found = number(key, wanted);
    if (found !== wanted && !Number.isNaN(wanted)) {
      violations.push({ field: key, description: `is ${found}; must be ${wanted}, the width of a head` });
    }
  };
  mustBe(VALUE_LENGTH, headDim);
  mustBe(ROPE_DIMENSIONS, headDim);
  violations.push(...unsupported(metadata));
  if (violations.length > 0) throw new InvalidGgufError(file, violations);
  return checked(file, config);
}

/** Settings that would change the computation in a way this family does not have. */
function* unsupported(metadata: GgufMetadata): Generator<FieldViolation> {
  const scaling = metadata.get(SCALING_TYPE)?.value ?? 'none';
  if (scaling !== 'none' && scaling !== 'linear') {
    yield { field: SCALING_TYPE, description: `is ${JSON.stringify(scaling)}; must be "none" or "linear"` };
  }
  if (Number(metadata.get('llama.expert_count')?.value ?? 0) > 0) {
    yield { field: 'llama.expert_count', description: 'mixtures of experts are not supported' };
  }
}

/** A factor for all pairs (0 and 1: none), one for each, or both. */
function scalingOf(linear: number, factors: Float32Array | null): RopeScaling | null {
  const all = linear === 0 ? 1 : linear;
  if (factors !== null)
    return { type: 'factors', factors: [...factors].map((factor) => shortest(factor) * all) };
  return all === 1 ? null : { type: 'linear', factor: all };
}

function checked(file: string, config: Partial<Record<keyof ModelConfig, unknown>>): ModelConfig {
  try {
    return parseModelConfig(config);
  } catch (error) {
    if (!(error instanceof InvalidModelConfigError)) throw error;
    throw new InvalidGgufError(
      file,
      error.fieldViolations.map(({ field, description }) => ({
        field: KEYS[field as keyof typeof KEYS] ?? field,
        description,
      })),
    );
  }
}

/** The shortest decimal that rounds to this f32, so that 1e-5 comes back as 1e-5. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
