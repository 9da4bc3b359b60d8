import type { FieldViolation } from '@agentforge/errors';
import {
  byteTokenizer,
  loadTokenizer,
  loadWeights,
  type ModelConfig,
  memorySource,
  TOKENIZER_FILE,
  type Tokenizer,
} from '@agentforge/model';
import type { PhaseContext } from '@agentforge/phase-runtime/worker';
import { UnfitBaseModelError } from './domain/cognate.errors.js';
import { type CognateConfig, modelConfigOf } from './domain/cognate-config.js';

/** A model that training starts from. */
export interface BaseModel {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly tokenizer: Tokenizer;
}

/** Fields that a base model must have as the configuration says; constants such as those of RoPE come from the base. */
const SHAPE = [
  'vocabSize',
  'hiddenSize',
  'numLayers',
  'numHeads',
  'numKvHeads',
  'headDim',
  'intermediateSize',
  'contextLength',
  'tieWordEmbeddings',
  'slidingWindow',
  'memory',
  'recursion',
] as const;

/**
 * The model on the port `base_models`; null when there is none.
 * @throws UnfitBaseModelError  INVALID_ARGUMENT: everything in which it is not what the configuration asks for
 * @throws AppError             whatever is wrong with its files
 */
export async function readBaseModel(context: PhaseContext<CognateConfig>): Promise<BaseModel | null> {
  const [artifact] = context.inputs('base_models');
  if (!artifact) return null;
  context.progress(0, 'reading the base model');
  const files = new Map<string, Uint8Array>();
  for (const { path } of (await artifact.manifest()).files) files.set(path, await artifact.file(path));
  const source = memorySource(files);
  const tokenizer = await loadTokenizer(source);
  const { config, weights } = await loadWeights(source);
  const violations = baseViolations(context.config, config, tokenizer);
  if (violations.length > 0) throw new UnfitBaseModelError(violations);
  return { config, weights, tokenizer };
}

/** Everything in which a base model is not what the configuration asks for. */
export function baseViolations(
  wanted: CognateConfig,
  found: ModelConfig,
  tokenizer: Tokenizer,
): FieldViolation[] {
  const shape = modelConfigOf(wanted);
  const violations: FieldViolation[] = [];
  const refuse = (field: string, description: string) =>
    violations.push({ field: `inputs.base_models[0].${field}`, description });
  for (const field of SHAPE) {
    const [is, must] = [found[field], shape[field]].map((value) => JSON.stringify(value) ?? 'absent');
    if (is !== must) refuse(`config.${field}`, `is ${is}; the configuration gives ${must}`);
  }
  if (tokenizer.vocabSize > found.vocabSize) {
    refuse('tokenizer', `has ${tokenizer.vocabSize} ids; the model has ${found.vocabSize} embeddings`);
  }
  const ownFile = byteTokenizer().files().get(TOKENIZER_FILE) ?? new Uint8Array();
  const itsFile = tokenizer.files().get(TOKENIZER_FILE) ?? new Uint8Array();
  if (wanted.tokenizer === 'byte' && Buffer.compare(ownFile, itsFile) !== 0) {
    refuse('tokenizer', 'is not the byte tokenizer that the configuration asks for');
  }
  return violations;
}
