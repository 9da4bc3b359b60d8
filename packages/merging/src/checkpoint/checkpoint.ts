import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError } from '@agentforge/errors';
import {
  CONFIG_FILE,
  directorySource,
  type FileSource,
  openCheckpoint,
  type TensorReader,
  TOKENIZER_FILE,
} from '@agentforge/model';
import { Vocabularies, type Vocabulary } from '../tokenizer/vocabulary.js';
import { type LowRank, openAdapter } from './adapter.js';
import { type Layout, layoutOf } from './layout.js';

/** `config.json`, as it is. */
export type ModelJson = Readonly<Record<string, unknown>>;

/** Type and shape of a tensor, and its values when asked for. */
export type Tensors = Pick<TensorReader, 'names' | 'has' | 'place' | 'readF32Into'> & {
  info(name: string): { readonly dtype: string; readonly shape: readonly number[] };
};

/** A model to merge: its tensors are read one at a time. */
export interface Checkpoint {
  /** As the recipe names it. */
  readonly reference: string;
  /** Where its files are. */
  readonly folder: string;
  readonly files: FileSource;
  readonly config: ModelJson;
  readonly tensors: Tensors;
  /** What an adapter adds to them, by tensor; values are folded as they are read. */
  readonly adapters?: ReadonlyMap<string, LowRank>;
  readonly layout: Layout;
  /** null: there is no tokenizer.json. */
  readonly vocabulary: Vocabulary | null;
}

/** Keys under which configurations have the number of layers. */
const LAYER_KEYS = ['num_hidden_layers', 'n_layer', 'num_layers', 'n_layers'] as const;

/** The key of the number of layers. */
export function layerKey(config: ModelJson): (typeof LAYER_KEYS)[number] | undefined {
  return LAYER_KEYS.find((key) => typeof config[key] === 'number');
}

/**
 * Opens a model folder in Hugging Face's layout, or `model+adapter`: that folder with a LoRA adapter in PEFT's layout.
 * @param vocabularies  those that were read before
 * @returns the model, or what keeps it from being opened, for people
 */
export async function openModelFolder(
  reference: string,
  baseFolder: string,
  vocabularies = new Vocabularies(),
): Promise<Checkpoint | string> {
  const folder = resolve(baseFolder, reference);
  if (await isFolder(folder)) return openPlain(reference, folder, vocabularies);
  const [model, adapter, ...others] = reference.split('+') as [string, string?, ...string[]];
  const modelFolder = resolve(baseFolder, model);
  if (adapter === undefined || others.length > 0 || !(await isFolder(modelFolder)))
    return missing(reference, folder, baseFolder);
  const opened = await openPlain(reference, modelFolder, vocabularies);
  if (typeof opened === 'string') return opened;
  const adapterFolder = resolve(baseFolder, adapter);
  if (!(await isFolder(adapterFolder))) return missing(adapter, adapterFolder, baseFolder);
  try {
    const { tensors } = opened;
    const shapeOf = (name: string) => (tensors.has(name) ? tensors.info(name).shape : undefined);
    const adapters = await openAdapter(adapterFolder, shapeOf);
    return typeof adapters === 'string' ? `${adapterFolder}: ${adapters}` : { ...opened, adapters };
  } catch (error) {
    return `${adapterFolder} cannot be read: ${AppError.from(error).message}`;
  }
}

async function isFolder(folder: string): Promise<boolean> {
  return (await stat(folder).catch(() => null))?.isDirectory() ?? false;
}

async function openPlain(
  reference: string,
  folder: string,
  vocabularies: Vocabularies,
): Promise<Checkpoint | string> {
  const files = directorySource(folder);
  try {
    const config: unknown = JSON.parse(new TextDecoder().decode(await files.read(CONFIG_FILE)));
    if (typeof config !== 'object' || config === null || Array.isArray(config))
      return `${CONFIG_FILE} is no map`;
    const reader = await openCheckpoint(files);
    const tokenizer = (await files.size(TOKENIZER_FILE)) === null ? null : await files.read(TOKENIZER_FILE);
    return {
      reference,
      folder,
      files,
      config: config as ModelJson,
      tensors: reader,
      layout: layoutOf(reader.names),
      vocabulary: tokenizer === null ? null : vocabularies.read(tokenizer),
    };
  } catch (error) {
    if (
      (await files.size('model.safetensors')) === null &&
      (await files.size('pytorch_model.bin')) !== null
    ) {
      return `${folder} has its weights in pytorch_model.bin: save them as safetensors first`;
    }
    return `${folder} cannot be read: ${AppError.from(error).message}`;
  }
}

function missing(reference: string, folder: string, baseFolder: string): string {
  if (/^[\w-][\w.-]*\/[\w.-]+([@+].+)?$/.test(reference)) {
    return (
      `${reference} is no folder in ${baseFolder}. Models are not downloaded: fetch it ` +
      `(hf download ${reference.replace(/[@+].*$/, '')} --local-dir FOLDER) and name the folder`
    );
  }
  return `${folder} is no folder`;
}
