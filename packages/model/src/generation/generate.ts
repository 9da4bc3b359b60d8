import { setImmediate } from 'node:timers/promises';
import { noGrad, scope, tensor } from '@agentforge/tensor';
import { type DecodingCache, KvCache } from '../llama/kv-cache.js';
import type { LlamaModel } from '../llama/llama-model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { checkGeneration, type Prompt, promptIds } from './check-generation.js';
import { Continuation } from './continuation.js';
import type { GeneratedToken, GenerateOptions, Generation } from './generation.js';

/**
 * Continues a prompt token by token with a KV cache. Iterate for the pieces; the return value is the whole.
 * Text that is still held back at the end comes with the last piece, whose token is then repeated from the last step.
 * @param prompt  text, in which special tokens are recognised and which the tokenizer's begin-of-text token goes before, or
 *                token ids, which are taken as they are; when empty, the model's begin- or end-of-text token starts the text
 * @throws InvalidGenerationError  INVALID_ARGUMENT: every setting out of range; a prompt that fills the context
 * @throws NonFiniteLogitsError    FAILED_PRECONDITION: the model's predictions are not numbers
 */
export async function* generate(
  model: LlamaModel,
  tokenizer: Tokenizer,
  prompt: Prompt,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, Generation> {
  const ids = promptIds(model, tokenizer, prompt);
  checkGeneration(options, [['prompt', ids]], model);
  const { signal } = options;
  const continuation = new Continuation(model.config, tokenizer, ids, options, options.seed ?? 0);
  const cache = new KvCache(model.config, continuation);
  try {
    let input = ids;
    while (continuation.finish === null && !signal?.aborted) {
      const piece = continuation.step(nextLogits(model, input, 1, cache));
      if (piece === null) break;
      yield piece;
      await setImmediate();
      input = Int32Array.of(piece.token);
    }
    const rest = continuation.rest();
    if (rest !== null) yield rest;
    return continuation.result();
  } finally {
    cache.dispose();
  }
}

/** `generate`, for callers who want only the result. */
export async function generateText(
  model: LlamaModel,
  tokenizer: Tokenizer,
  prompt: Prompt,
  options: GenerateOptions,
): Promise<Generation> {
  return resultOf(generate(model, tokenizer, prompt, options));
}

/**
 * Runs a generator to its end and gives what it returns.
 * @param checkCancelled  called before each piece; throw from it to stop: the generator is closed
 */
export async function resultOf<T>(
  pieces: AsyncGenerator<unknown, T>,
  checkCancelled?: () => void,
): Promise<T> {
  try {
    for (;;) {
      checkCancelled?.();
      const step = await pieces.next();
      if (step.done) return step.value;
    }
  } finally {
    // Ends one that is not at its end; `T` is what nobody asks for any more.
    await pieces.return(undefined as T);
  }
}

/**
 * Logits [batch · V] after the last of the given tokens of each row, which are added to the cache.
 * @param ids  [batch, length], row-major
 */
export function nextLogits(
  model: LlamaModel,
  ids: Int32Array,
  batch: number,
  cache: DecodingCache,
): Float32Array {
  return noGrad(() =>
    scope(() =>
      model.forward(tensor(ids, [batch, ids.length / batch]), { cache, lastOnly: true }).toFloat32Array(),
    ),
  );
}
