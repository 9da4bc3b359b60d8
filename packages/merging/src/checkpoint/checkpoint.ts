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
import { readVocabulary, type Vocabulary } from '../tokenizer/vocabulary.js';
import { type Layout, layoutOf } from './layout.js';

/** `config.json`, as it is. */
export type ModelJson = Readonly<Record<string, unknown>>;

/** Type and shape of a tensor, and its values when asked for. */
export type Tensors = Pick<TensorReader, 'names' | 'has' | 'readF32Into'> & {
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
 * Opens a model folder in Hugging Face's layout.
 * @returns the model, or what keeps it from being opened, for people
 */
export async function openModelFolder(reference: string, baseFolder: string): Promise<Checkpoint | string> {
  const folder = resolve(baseFolder, reference);
  const found = await stat(folder).catch(() => null);
  if (!found?.isDirectory()) return missing(reference, folder, baseFolder);
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
      vocabulary: tokenizer === null ? null : readVocabulary(tokenizer),
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
