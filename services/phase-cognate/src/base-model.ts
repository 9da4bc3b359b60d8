import type { FieldViolation } from '@agentforge/errors';
import {
  byteTokenizer,
  type ModelConfig,
  type ModelParts,
  memorySource,
  readModelParts,
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

/** Where it is, for violations. */
const BASE = 'inputs.base_models[0]';

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
 * @throws UnfitBaseModelError  INVALID_ARGUMENT: everything that is wrong with its files, and in which it is not what the
 *                              configuration asks for
 */
export async function readBaseModel(context: PhaseContext<CognateConfig>): Promise<BaseModel | null> {
  const [artifact] = context.inputs('base_models');
  if (!artifact) return null;
  context.progress(0, 'reading the base model');
  const files = new Map<string, Uint8Array>();
  for (const { path } of (await artifact.manifest()).files) files.set(path, await artifact.file(path));
  return fitBaseModel(context.config, await readModelParts(memorySource(files)));
}

/** A base model of its parts. @throws UnfitBaseModelError  INVALID_ARGUMENT: every reason */
export function fitBaseModel(wanted: CognateConfig, parts: ModelParts): BaseModel {
  const { config, weights, tokenizer } = parts;
  const violations = [
    ...parts.violations.map(({ field, description }) => ({ field: `${BASE}/${field}`, description })),
    ...baseViolations(wanted, config, tokenizer),
  ];
  if (violations.length > 0 || !config || !weights || !tokenizer) throw new UnfitBaseModelError(violations);
  return { config, weights, tokenizer };
}

/** Everything in which the parts of a base model that are there are not what the configuration asks for. */
export function baseViolations(
  wanted: CognateConfig,
  found: ModelConfig | null,
  tokenizer: Tokenizer | null,
): FieldViolation[] {
  const shape = modelConfigOf(wanted);
  const violations: FieldViolation[] = [];
  const refuse = (field: string, description: string) =>
    violations.push({ field: `${BASE}.${field}`, description });
  for (const field of found ? SHAPE : []) {
    const [is, must] = [found?.[field], shape[field]].map((value) => JSON.stringify(value) ?? 'absent');
    if (is !== must) refuse(`config.${field}`, `is ${is}; the configuration gives ${must}`);
  }
  const ownFile = byteTokenizer().files().get(TOKENIZER_FILE) ?? new Uint8Array();
  const itsFile = tokenizer?.files().get(TOKENIZER_FILE) ?? ownFile;
  if (wanted.tokenizer === 'byte' && Buffer.compare(ownFile, itsFile) !== 0) {
    refuse('tokenizer', 'is not the byte tokenizer that the configuration asks for');
  }
  return violations;
}
