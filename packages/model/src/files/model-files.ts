import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FieldViolation } from '@agentforge/errors';
import { CONFIG_FILE, fromHfConfig, toHfConfig } from '../config/hf-config.js';
import type { ModelConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { LlamaModel } from '../llama/llama-model.js';
import { WeightsMismatchError } from '../llama/model.errors.js';
import { openSafetensors } from '../safetensors/reader.js';
import { openSharded, WEIGHTS_INDEX_FILE } from '../safetensors/sharded-reader.js';
import type { TensorReader } from '../safetensors/tensor-reader.js';
import { encodeSafetensors, type WeightsDtype, writeSafetensors } from '../safetensors/writer.js';
import type { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { readTokenizer } from '../tokenizer/read-tokenizer.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from '../tokenizer/tokenizer-files.js';
import { directorySource, type FileSource } from './file-source.js';
import { MalformedModelFileError, TokenizerTooLargeError } from './files.errors.js';
import { type ModelWeights, tensorSource, type WeightsOf } from './tensor-source.js';

/** File name of the weights in Hugging Face's layout. */
export const WEIGHTS_FILE = 'model.safetensors';
/** File name of the defaults for generation. */
export const GENERATION_CONFIG_FILE = 'generation_config.json';

/** A model with its tokenizer. */
export interface LoadedModel {
  readonly config: ModelConfig;
  readonly model: LlamaModel;
  readonly tokenizer: BpeTokenizer;
}

/** Buffers and copies that other writers leave in a file and that carry nothing of their own. */
const IGNORED_TENSORS = /\.rotary_emb\.inv_freq$/;
const TIED_COPY = 'lm_head.weight';

/**
 * The files of a model in Hugging Face's layout, by name: config.json, generation_config.json, model.safetensors,
 * tokenizer.json, tokenizer_config.json. Same model, same bytes. Of ternary layers the weights that they train, as
 * `saveModel` writes them.
 * @throws TokenizerTooLargeError  INVALID_ARGUMENT: a token would have no embedding
 * @throws UnmergedAdapterError    FAILED_PRECONDITION: an adapter that is not merged
 */
export function encodeModelFiles(
  model: LlamaModel | ModelWeights,
  tokenizer: Tokenizer,
): Map<string, Uint8Array> {
  const { config } = model;
  const weights = 'weights' in model ? model.weights : model.exportWeights();
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, shape] of parameterShapes(config)) {
    const data = weights.get(name);
    if (data === undefined)
      throw new WeightsMismatchError('weights', [{ field: name, description: 'is missing' }]);
    tensors.set(name, { shape, data });
  }
  return new Map([...encodeSettings(config, tokenizer), [WEIGHTS_FILE, encodeSafetensors(tensors)]]);
}

/** The files besides the weights. */
function encodeSettings(
  config: ModelConfig,
  tokenizer: Tokenizer,
  dtype: WeightsDtype = 'F32',
): Map<string, Uint8Array> {
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new TokenizerTooLargeError(tokenizer.vocabSize, config.vocabSize);
  }
  const generation = { bos_token_id: config.bosTokenId, eos_token_id: config.eosTokenId };
  return new Map([
    [CONFIG_FILE, encodeJson(toHfConfig(config, dtype))],
    [GENERATION_CONFIG_FILE, encodeJson(generation)],
    ...tokenizer.files(),
  ]);
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Writes a model into a folder, which is made when missing. Files appear complete or not at all; memory holds one
 * tensor at a time besides the model. An index of several weights files that was there is removed: it would
 * contradict the new file.
 *
 * Of ternary layers (`toBitNet`) it writes the full-precision weights that they train, so that training goes on from
 * the file; what they compute with is in `exportGguf` and `ternaryWeights()`. Read again, the layers are plain ones.
 * @param dtype  of the weights file, rounded to nearest; default F32, which loses nothing
 * @throws UnmergedAdapterError  FAILED_PRECONDITION: an adapter that is not merged; nothing is written
 */
export async function saveModel(
  directory: string,
  model: WeightsOf,
  tokenizer: Tokenizer,
  { dtype = 'F32' }: { readonly dtype?: WeightsDtype } = {},
): Promise<void> {
  const source = tensorSource(model);
  const settings = encodeSettings(source.config, tokenizer, dtype);
  const tensors = new Map(
    [...parameterShapes(source.config)].map(([name, shape]) => [name, { dtype, shape }]),
  );
  const suffix = `.${randomUUID()}.tmp`;
  const names = [...settings.keys(), WEIGHTS_FILE];
  await mkdir(directory, { recursive: true });
  try {
    for (const [name, bytes] of settings) await writeFile(join(directory, name + suffix), bytes);
    await writeSafetensors(join(directory, WEIGHTS_FILE + suffix), tensors, (name) => source.readF32(name));
    for (const name of names) await rename(join(directory, name + suffix), join(directory, name));
    await rm(join(directory, WEIGHTS_INDEX_FILE), { force: true });
  } finally {
    for (const name of names) await rm(join(directory, name + suffix), { force: true });
  }
}

/** `loadModelFiles` of a folder. */
export function loadModel(directory: string): Promise<LoadedModel> {
  return loadModelFiles(directorySource(directory));
}

/**
 * A model and its tokenizer from Hugging Face's layout.
 * @throws ModelFileMissingError  NOT_FOUND
 * @throws MalformedModelFileError, InvalidModelConfigError, InvalidSafetensorsError, InvalidTokenizerError,
 *         WeightsMismatchError, TokenizerTooLargeError  INVALID_ARGUMENT, naming file and fields
 */
export async function loadModelFiles(source: FileSource): Promise<LoadedModel> {
  const { config, weights } = await loadWeights(source);
  const tokenizer = await loadTokenizer(source);
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new TokenizerTooLargeError(tokenizer.vocabSize, config.vocabSize);
  }
  return { config, model: LlamaModel.fromState(config, weights), tokenizer };
}

/** The configuration of a model. Throws as `loadModelFiles` does. */
export async function loadConfig(source: FileSource): Promise<ModelConfig> {
  const bytes = await source.read(CONFIG_FILE);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new MalformedModelFileError(CONFIG_FILE, error);
  }
  return fromHfConfig(json);
}

/** The tokenizer of a model. Throws as `loadModelFiles` does. */
export async function loadTokenizer(source: FileSource): Promise<BpeTokenizer> {
  const hasConfig = (await source.size(TOKENIZER_CONFIG_FILE)) !== null;
  return readTokenizer(
    await source.read(TOKENIZER_FILE),
    hasConfig ? await source.read(TOKENIZER_CONFIG_FILE) : undefined,
  );
}

/**
 * The weights of a checkpoint, open: model.safetensors, or else the files that model.safetensors.index.json names.
 * Throws as `loadModelFiles` does.
 */
export async function openCheckpoint(source: FileSource): Promise<TensorReader> {
  const isSharded =
    (await source.size(WEIGHTS_FILE)) === null && (await source.size(WEIGHTS_INDEX_FILE)) !== null;
  return isSharded ? openSharded(source) : openSafetensors(source, WEIGHTS_FILE);
}

/**
 * The weights of a model, open and checked against its configuration: for work that holds one tensor at a time.
 * Throws as `loadModelFiles` does.
 */
export async function openWeights(
  source: FileSource,
): Promise<{ config: ModelConfig; reader: TensorReader }> {
  const config = await loadConfig(source);
  const reader = await openCheckpoint(source);
  checkTensors(config, reader);
  return { config, reader };
}

/** Configuration and all weights of a model, without building it. Throws as `loadModelFiles` does. */
export async function loadWeights(source: FileSource): Promise<ModelWeights> {
  const { config, reader } = await openWeights(source);
  const weights = new Map<string, Float32Array>();
  for (const name of parameterShapes(config).keys()) weights.set(name, await reader.readF32(name));
  return { config, weights };
}

function checkTensors(config: ModelConfig, reader: TensorReader): void {
  const violations: FieldViolation[] = [];
  const shapes = parameterShapes(config);
  for (const [field, shape] of shapes) {
    if (!reader.has(field)) {
      violations.push({ field, description: 'is missing' });
      continue;
    }
    const info = reader.info(field);
    if (info.shape.join() !== shape.join()) {
      violations.push({
        field,
        description: `has shape [${info.shape}], the configuration gives [${shape}]`,
      });
    }
    if (!['F32', 'F16', 'BF16', 'F64'].includes(info.dtype)) {
      violations.push({ field, description: `has dtype ${info.dtype}, weights must be floating point` });
    }
  }
  for (const field of reader.names) {
    const isKnown = shapes.has(field) || IGNORED_TENSORS.test(field);
    const isTiedCopy = field === TIED_COPY && config.tieWordEmbeddings;
    if (!isKnown && !isTiedCopy) violations.push({ field, description: 'is not a parameter of this model' });
  }
  if (violations.length > 0) throw new WeightsMismatchError(reader.path, violations);
}
