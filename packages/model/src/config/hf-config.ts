import type { FieldViolation } from '@agentforge/errors';
import { z } from 'zod';
import { InvalidModelConfigError } from './config.errors.js';
import { fromHfRope, hfRope, toHfRope } from './hf-rope.js';
import type { MemoryConfig } from './memory-config.js';
import { type ModelConfig, parseModelConfig } from './model-config.js';
import type { RecursionConfig } from './recursion-config.js';

/** File name of the model configuration in Hugging Face's layout. */
export const CONFIG_FILE = 'config.json';

/** Absent rather than false, so that plain configurations are equal however they were written. */
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value || undefined);

/** Token ids may be one number, a list of which the first counts, or absent. */
const tokenId = z
  .union([z.int().min(0), z.array(z.int().min(0)).min(1)])
  .nullish()
  .transform((value) => (Array.isArray(value) ? (value[0] ?? null) : (value ?? null)));

/** `model_type` of what transformers does not know: attention over a window, and neural memory. */
const MEMORY_MODEL_TYPE = 'titans_mag';
/** `model_type` of a model whose blocks run on their own results, with or without window and memory. */
const RECURSIVE_MODEL_TYPE = 'recursive_llama';
const MODEL_TYPES = ['llama', MEMORY_MODEL_TYPE, RECURSIVE_MODEL_TYPE] as const;

/** `memory`, in the manner of the other fields. */
const hfMemory = z.strictObject({
  chunk_length: z.number(),
  clip_norm: z.number(),
  depth: z.number(),
  expansion: z.number(),
  heads: z.number(),
  max_step: z.number(),
});

/** `recursion`, in the manner of the other fields. */
const hfRecursion = z.strictObject({
  cycles: z.number(),
  halt_threshold: z.number(),
  latent_steps: z.number(),
  supervision_steps: z.number(),
});

/** What is read from `config.json`. Fields that would change the computation in a way we lack are refused. */
const hfSchema = z
  .looseObject({
    model_type: z.enum(MODEL_TYPES, `must be ${MODEL_TYPES.map((type) => `"${type}"`).join(' or ')}`),
    vocab_size: z.number(),
    hidden_size: z.number(),
    num_hidden_layers: z.number(),
    num_attention_heads: z.number(),
    num_key_value_heads: z.number().nullish(),
    head_dim: z.number().nullish(),
    intermediate_size: z.number(),
    max_position_embeddings: z.number().default(2048),
    rope_theta: z.number().nullish(),
    rope_parameters: hfRope.nullish(),
    rope_scaling: hfRope.nullish(),
    rms_norm_eps: z.number().default(1e-6),
    tie_word_embeddings: z.boolean().default(false),
    hidden_act: z.literal('silu', 'must be "silu"').default('silu'),
    attention_bias: flag,
    mlp_bias: flag,
    sliding_window: z.number().nullish(),
    memory: hfMemory.nullish(),
    recursion: hfRecursion.nullish(),
    bos_token_id: tokenId,
    eos_token_id: tokenId,
  })
  .superRefine((hf, context) => {
    const [older, newer] = [hf.rope_scaling, hf.rope_parameters].map((rope) =>
      rope == null ? undefined : JSON.stringify(fromHfRope(rope, hf.max_position_embeddings) ?? null),
    );
    if (older !== undefined && newer !== undefined && older !== newer) {
      context.addIssue({
        code: 'custom',
        path: ['rope_scaling'],
        message: 'contradicts rope_parameters; keep the one that the model was trained with',
      });
    }
    for (const field of ['sliding_window', 'memory', 'recursion'] as const) {
      const needed = field === 'recursion' ? RECURSIVE_MODEL_TYPE : MEMORY_MODEL_TYPE;
      const isPart = hf.model_type === RECURSIVE_MODEL_TYPE || hf.model_type === needed;
      if (isPart || hf[field] == null) continue;
      const message = `is no part of a ${hf.model_type}; model_type must be "${needed}"`;
      context.addIssue({ code: 'custom', path: [field], message });
    }
  });

/** `config.json` of a plain Llama as Hugging Face's `LlamaConfig` reads it. */
export type HfLlamaConfig = ReturnType<typeof toHfConfig>;

/** Names of PyTorch for the types of a weights file. */
const TORCH_DTYPES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

type ModelType = (typeof MODEL_TYPES)[number];

/** Classes of transformers, or what they would be called there. */
const ARCHITECTURES: Readonly<Record<ModelType, string>> = {
  llama: 'LlamaForCausalLM',
  [MEMORY_MODEL_TYPE]: 'TitansMagForCausalLM',
  [RECURSIVE_MODEL_TYPE]: 'RecursiveLlamaForCausalLM',
};

function modelTypeOf({ memory, recursion, slidingWindow }: ModelConfig): ModelType {
  if (recursion) return RECURSIVE_MODEL_TYPE;
  return memory || slidingWindow !== undefined ? MEMORY_MODEL_TYPE : 'llama';
}

/** What a model is, for people: its `model_type` as phases name it, `llama`, `titans-mag` or `recursive-llama`. */
export function architectureOf(config: ModelConfig): string {
  return modelTypeOf(config).replaceAll('_', '-');
}

/**
 * `config.json` of a model, readable by transformers 4 and 5. Keys sorted as transformers writes them.
 * @param dtype  of the weights file beside it
 */
export function toHfConfig(config: ModelConfig, dtype: keyof typeof TORCH_DTYPES = 'F32') {
  const scaling = toHfRope(config.ropeScaling, config.contextLength);
  const { memory, recursion, slidingWindow } = config;
  const modelType = modelTypeOf(config);
  return {
    architectures: [ARCHITECTURES[modelType]],
    attention_bias: config.attentionBias ?? false,
    attention_dropout: 0,
    bos_token_id: config.bosTokenId,
    dtype: TORCH_DTYPES[dtype],
    eos_token_id: config.eosTokenId,
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.contextLength,
    ...(memory && { memory: toHfMemory(memory) }),
    mlp_bias: config.mlpBias ?? false,
    model_type: modelType,
    num_attention_heads: config.numHeads,
    num_hidden_layers: config.numLayers,
    num_key_value_heads: config.numKvHeads,
    pretraining_tp: 1,
    ...(recursion && { recursion: toHfRecursion(recursion) }),
    rms_norm_eps: config.rmsNormEps,
    rope_parameters: { rope_theta: config.ropeTheta, rope_type: 'default', ...scaling },
    rope_scaling: scaling,
    rope_theta: config.ropeTheta,
    ...(slidingWindow !== undefined && { sliding_window: slidingWindow }),
    tie_word_embeddings: config.tieWordEmbeddings,
    torch_dtype: TORCH_DTYPES[dtype],
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

function toHfRecursion(recursion: RecursionConfig): z.infer<typeof hfRecursion> {
  const { cycles, haltThreshold, latentSteps, supervisionSteps } = recursion;
  return {
    cycles,
    halt_threshold: haltThreshold,
    latent_steps: latentSteps,
    supervision_steps: supervisionSteps,
  };
}

function fromHfRecursion(recursion: z.infer<typeof hfRecursion>): RecursionConfig {
  const { cycles, halt_threshold, latent_steps, supervision_steps } = recursion;
  return {
    cycles,
    haltThreshold: halt_threshold,
    latentSteps: latent_steps,
    supervisionSteps: supervision_steps,
  };
}

function toHfMemory(memory: MemoryConfig): z.infer<typeof hfMemory> {
  const { chunkLength, clipNorm, depth, expansion, heads, maxStep } = memory;
  return { chunk_length: chunkLength, clip_norm: clipNorm, depth, expansion, heads, max_step: maxStep };
}

function fromHfMemory(memory: z.infer<typeof hfMemory>): MemoryConfig {
  const {
    chunk_length: chunkLength,
    clip_norm: clipNorm,
    depth,
    expansion,
    heads,
    max_step: maxStep,
  } = memory;
  return { chunkLength, clipNorm, depth, expansion, heads, maxStep };
}

/** Our field of each Hugging Face field, so that a violation names what the file has. */
const HF_FIELD: Readonly<Record<keyof ModelConfig, string>> = {
  vocabSize: 'vocab_size',
  hiddenSize: 'hidden_size',
  numLayers: 'num_hidden_layers',
  numHeads: 'num_attention_heads',
  numKvHeads: 'num_key_value_heads',
  headDim: 'head_dim',
  intermediateSize: 'intermediate_size',
  contextLength: 'max_position_embeddings',
  ropeTheta: 'rope_theta',
  ropeScaling: 'rope_scaling',
  rmsNormEps: 'rms_norm_eps',
  tieWordEmbeddings: 'tie_word_embeddings',
  attentionBias: 'attention_bias',
  mlpBias: 'mlp_bias',
  slidingWindow: 'sliding_window',
  memory: 'memory',
  recursion: 'recursion',
  bosTokenId: 'bos_token_id',
  eosTokenId: 'eos_token_id',
};

/**
 * The configuration that a Hugging Face `config.json` describes.
 * @param json  parsed JSON
 * @param file  name used in the error
 * @throws InvalidModelConfigError  INVALID_ARGUMENT: every field that is wrong, missing or not supported
 */
export function fromHfConfig(json: unknown, file: string = CONFIG_FILE): ModelConfig {
  const result = hfSchema.safeParse(json);
  if (!result.success) throw new InvalidModelConfigError(file, violationsOf(result.error));
  const hf = result.data;
  try {
    return parseModelConfig({
      vocabSize: hf.vocab_size,
      hiddenSize: hf.hidden_size,
      numLayers: hf.num_hidden_layers,
      numHeads: hf.num_attention_heads,
      numKvHeads: hf.num_key_value_heads ?? hf.num_attention_heads,
      headDim: hf.head_dim ?? hf.hidden_size / hf.num_attention_heads,
      intermediateSize: hf.intermediate_size,
      contextLength: hf.max_position_embeddings,
      ropeTheta: hf.rope_parameters?.rope_theta ?? hf.rope_scaling?.rope_theta ?? hf.rope_theta ?? 10_000,
      ...present({
        ropeScaling: fromHfRope(hf.rope_scaling ?? hf.rope_parameters, hf.max_position_embeddings),
        attentionBias: hf.attention_bias,
        mlpBias: hf.mlp_bias,
        slidingWindow: hf.sliding_window ?? undefined,
        memory: hf.memory ? fromHfMemory(hf.memory) : undefined,
        recursion: hf.recursion ? fromHfRecursion(hf.recursion) : undefined,
      }),
      rmsNormEps: hf.rms_norm_eps,
      tieWordEmbeddings: hf.tie_word_embeddings,
      bosTokenId: hf.bos_token_id,
      eosTokenId: hf.eos_token_id,
    });
  } catch (error) {
    if (!(error instanceof InvalidModelConfigError)) throw error;
    const violations = error.fieldViolations.map(({ field, description }) => ({
      field: hfField(field),
      description,
    }));
    throw new InvalidModelConfigError(file, violations);
  }
}

/** What has a value. */
function present<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Our fields of scaled RoPE and of memory are theirs in camel case, but for the context. */
function hfField(path: string): string {
  const [field = '', ...parts] = path.split('.');
  const inner = parts.map((part) =>
    part === 'originalContextLength'
      ? 'original_max_position_embeddings'
      : part.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  );
  return [HF_FIELD[field as keyof ModelConfig] ?? field, ...inner].join('.');
}

function violationsOf(error: z.ZodError): FieldViolation[] {
  return error.issues.map(({ path, message }) => ({ field: path.join('.'), description: message }));
}
