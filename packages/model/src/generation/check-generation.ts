import type { FieldViolation } from '@agentforge/errors';
import type { LlamaModel } from '../llama/llama-model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { InvalidGenerationError } from './generation.errors.js';
import type { GenerateOptions } from './generation.js';

/** A prompt: text, in which special tokens are recognised, or token ids, which are taken as they are. */
export type Prompt = string | ArrayLike<number>;

/**
 * Token ids of a prompt. A text begins with the begin-of-text token of its tokenizer, if that has one; an empty prompt is
 * the model's begin- or end-of-text token.
 */
export function promptIds(model: LlamaModel, tokenizer: Tokenizer, prompt: Prompt): Int32Array {
  const ids =
    typeof prompt === 'string'
      ? begun(tokenizer, tokenizer.encode(prompt, { parseSpecial: true }))
      : Int32Array.from(prompt);
  if (ids.length > 0) return ids;
  const first = model.config.bosTokenId ?? model.config.eosTokenId ?? tokenizer.eosId;
  return first === null ? ids : Int32Array.of(first);
}

/** Ids of a text after the begin-of-text token, where the tokenizer has one and the text does not begin with it. */
export function begun({ bosId }: Tokenizer, ids: Int32Array): Int32Array {
  if (bosId === null || ids[0] === bosId) return ids;
  const whole = new Int32Array(ids.length + 1);
  whole[0] = bosId;
  whole.set(ids, 1);
  return whole;
}

/**
 * @param prompts  token ids by the name of the field they came from
 * @throws InvalidGenerationError  INVALID_ARGUMENT: every setting out of range, every prompt that cannot be continued
 */
export function checkGeneration(
  options: GenerateOptions,
  prompts: readonly (readonly [field: string, ids: Int32Array])[],
  { config: { contextLength, vocabSize } }: LlamaModel,
): void {
  const { maxTokens, temperature = 1, topK = 1, topP = 1 } = options;
  const violations: FieldViolation[] = [];
  const require = (holds: boolean, field: string, description: string): void => {
    if (!holds) violations.push({ field, description });
  };
  const isWhole = (value: number): boolean => Number.isInteger(value) && value >= 1;
  require(isWhole(maxTokens), 'maxTokens', `is ${maxTokens}; must be a whole number ≥ 1`);
  require(temperature >= 0 &&
    temperature < Infinity, 'temperature', `is ${temperature}; must be ≥ 0 and finite`);
  require(isWhole(topK), 'topK', `is ${topK}; must be a whole number ≥ 1`);
  require(topP > 0 && topP <= 1, 'topP', `is ${topP}; must be above 0 and at most 1`);
  for (const [field, ids] of prompts) {
    require(ids.length >= 1, field, 'is empty, and the model has no begin-of-text token');
    require(ids.length <
      contextLength, field, `has ${ids.length} tokens; the context holds ${contextLength}, one is to be generated`);
    const foreign = ids.find((id) => id < 0 || id >= vocabSize);
    require(foreign === undefined, field, `has token ${foreign}; the model's ids are 0 to ${vocabSize - 1}`);
  }
  if (violations.length > 0) throw new InvalidGenerationError(violations);
}
