import { type FieldViolation, isAppError } from '@agentforge/errors';
import { CONFIG_FILE } from '../config/hf-config.js';
import type { ModelConfig } from '../config/model-config.js';
import type { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { TOKENIZER_FILE } from '../tokenizer/tokenizer-files.js';
import type { FileSource } from './file-source.js';
import { loadConfig, loadTokenizer, loadWeights, WEIGHTS_FILE } from './model-files.js';

/** What could be read of a model, and why the rest could not. */
export interface ModelParts {
  readonly config: ModelConfig | null;
  /** Null without a configuration too: it says which there must be. */
  readonly weights: ReadonlyMap<string, Float32Array> | null;
  readonly tokenizer: BpeTokenizer | null;
  /** Fields begin with the file: "tokenizer.json/model.vocab". Empty when everything is there and fits together. */
  readonly violations: readonly FieldViolation[];
}

/**
 * Reads the parts of a model, each for itself, so that what is wrong with one does not hide what is wrong with another.
 * @throws whatever is not about the content of the files
 */
export async function readModelParts(source: FileSource): Promise<ModelParts> {
  const violations: FieldViolation[] = [];
  const attempt = async <T>(file: string, read: () => Promise<T>): Promise<T | null> => {
    try {
      return await read();
    } catch (error) {
      if (!isAppError(error) || !['INVALID_ARGUMENT', 'NOT_FOUND'].includes(error.code)) throw error;
      const { fieldViolations: fields, message: description } = error;
      if (fields.length === 0) violations.push({ field: file, description });
      violations.push(
        ...fields.map((one) => ({ ...one, field: one.field === '' ? file : `${file}/${one.field}` })),
      );
      return null;
    }
  };
  const config = await attempt(CONFIG_FILE, () => loadConfig(source));
  const loaded = config && (await attempt(WEIGHTS_FILE, () => loadWeights(source)));
  const tokenizer = await attempt(TOKENIZER_FILE, () => loadTokenizer(source));
  if (config && tokenizer && tokenizer.vocabSize > config.vocabSize) {
    const description = `has ${tokenizer.vocabSize} ids; the model has ${config.vocabSize} embeddings`;
    violations.push({ field: TOKENIZER_FILE, description });
  }
  return { config, weights: loaded?.weights ?? null, tokenizer, violations };
}
