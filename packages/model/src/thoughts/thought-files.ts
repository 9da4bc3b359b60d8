import { z } from 'zod';
import type { FileSource } from '../files/file-source.js';
import { MalformedModelFileError } from '../files/files.errors.js';
import { loadModelFiles } from '../files/model-files.js';
import type { LlamaModel } from '../llama/llama-model.js';
import { WeightsMismatchError } from '../llama/model.errors.js';
import { openSafetensors } from '../safetensors/reader.js';
import { encodeSafetensors } from '../safetensors/writer.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { MixingHead } from './mixing-head.js';
import { ThinkingModel } from './thinking-model.js';
import { InvalidThinkingError, NoThoughtsError } from './thoughts.errors.js';

/** File name of the marks and the mixing head, beside the Llama's own files. */
export const THOUGHTS_FILE = 'thoughts.safetensors';
/** File name of how the model learnt to think. */
export const THOUGHTS_CONFIG_FILE = 'thoughts_config.json';

const thoughtsConfig = z.object({
  thought_length: z.int().min(1).max(1024),
  temperature: z.number().min(0).max(10),
});

/** How a model thinks unless told otherwise. */
export type ThoughtsConfig = Readonly<z.infer<typeof thoughtsConfig>>;

const LLAMA_PREFIX = 'llama.';

/** Names, shapes and values of what a thinking model has besides its Llama. */
export function thoughtTensors(
  model: ThinkingModel,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  return new Map(
    [...ownParameters(model)].map(([name, parameter]) => [
      name,
      { shape: parameter.shape, data: parameter.toFloat32Array() },
    ]),
  );
}

function ownParameters(model: ThinkingModel) {
  return new Map([...model.namedParameters()].filter(([name]) => !name.startsWith(LLAMA_PREFIX)));
}

/**
 * The files that make a saved Llama one that thinks. Tools that do not know them load the Llama, which never thinks.
 * Same model, same bytes.
 */
export function encodeThoughtFiles(model: ThinkingModel, config: ThoughtsConfig): Map<string, Uint8Array> {
  const json = `${JSON.stringify({ thought_length: config.thought_length, temperature: config.temperature }, null, 2)}\n`;
  return new Map([
    [THOUGHTS_CONFIG_FILE, new TextEncoder().encode(json)],
    [THOUGHTS_FILE, encodeSafetensors(thoughtTensors(model))],
  ]);
}

/** A model that thinks, with its tokenizer. */
export interface LoadedThinkingModel {
  readonly model: ThinkingModel;
  readonly tokenizer: Tokenizer;
  readonly thoughts: ThoughtsConfig;
}

/**
 * A thinking model from a folder in Hugging Face's layout.
 * @throws NoThoughtsError  FAILED_PRECONDITION: it is an ordinary model
 * @throws WeightsMismatchError, InvalidThinkingError, and what `loadModelFiles` throws, naming file and fields
 */
export async function loadThinkingModel(source: FileSource): Promise<LoadedThinkingModel> {
  for (const file of [THOUGHTS_FILE, THOUGHTS_CONFIG_FILE]) {
    if ((await source.size(file)) === null) throw new NoThoughtsError(file);
  }
  const thoughts = await readConfig(source);
  const { model: llama, tokenizer } = await loadModelFiles(source);
  try {
    return { model: await withThoughts(llama, source), tokenizer, thoughts };
  } catch (error) {
    llama.dispose();
    throw error;
  }
}

async function readConfig(source: FileSource): Promise<ThoughtsConfig> {
  let json: unknown;
  try {
    json = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(await source.read(THOUGHTS_CONFIG_FILE)),
    );
  } catch (error) {
    throw new MalformedModelFileError(THOUGHTS_CONFIG_FILE, error);
  }
  const parsed = thoughtsConfig.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new InvalidThinkingError(
    parsed.error.issues.map(({ path, message }) => ({
      field: `${THOUGHTS_CONFIG_FILE}/${path.join('.')}`,
      description: message,
    })),
  );
}

async function withThoughts(llama: LlamaModel, source: FileSource): Promise<ThinkingModel> {
  const { hiddenSize: d } = llama.config;
  const model = new ThinkingModel(llama, new Float32Array(3 * d), new MixingHead(d, null));
  const reader = await openSafetensors(source, THOUGHTS_FILE);
  const violations = [];
  const own = ownParameters(model);
  for (const [field, { shape }] of own) {
    const found = reader.has(field) ? reader.info(field).shape : null;
    if (found === null) violations.push({ field, description: 'is missing' });
    else if (found.join() !== shape.join()) {
      violations.push({ field, description: `has shape [${found}], the model needs [${shape}]` });
    }
  }
  for (const field of reader.names) {
    if (!own.has(field)) violations.push({ field, description: 'is no part of a thinking model' });
  }
  if (violations.length > 0) {
    model.mixing_head.dispose();
    model.thought_tokens.dispose();
    throw new WeightsMismatchError(THOUGHTS_FILE, violations);
  }
  for (const [name, parameter] of own) parameter.write(await reader.readF32(name));
  return model;
}
