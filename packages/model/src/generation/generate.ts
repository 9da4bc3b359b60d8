import { setImmediate } from 'node:timers/promises';
import type { FieldViolation } from '@agentforge/errors';
import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import { KvCache } from '../llama/kv-cache.js';
import type { LlamaModel } from '../llama/llama-model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { InvalidGenerationError } from './generation.errors.js';
import { type SamplingOptions, sampleToken } from './sample-token.js';
import { TextStream } from './text-stream.js';

/** Settings of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; the model's context may end it earlier. */
  readonly maxTokens: number;
  /** Strings that end the text; they are not part of it. */
  readonly stop?: readonly string[];
  /** Same seed, same text. Default 0. */
  readonly seed?: number | bigint;
  /** End at the end-of-text token. Default true. */
  readonly stopAtEos?: boolean;
  /** Ends the generation after the current token, without an error. */
  readonly signal?: AbortSignal;
}

/** One step of a generation. */
export interface GeneratedToken {
  readonly token: number;
  /** Text that became certain with this token; '' while a character or a possible stop string is incomplete. */
  readonly text: string;
}

/** Why a generation ended. */
export type FinishReason = 'length' | 'stop' | 'eos' | 'aborted';

/** A finished generation. */
export interface Generation {
  /** Without the prompt and the stop string. */
  readonly text: string;
  readonly tokens: readonly number[];
  readonly promptTokens: number;
  readonly finish: FinishReason;
  /** Generated tokens per second, the prompt's own time left out. */
  readonly tokensPerSecond: number;
}

/**
 * Continues a prompt token by token with a KV cache. Iterate for the pieces; the return value is the whole.
 * Text that is still held back at the end comes with the last piece, whose token is then repeated from the last step.
 * @param prompt  text, in which special tokens are recognised, or token ids; when empty, the model's begin- or
 *                end-of-text token starts the text
 * @throws InvalidGenerationError  INVALID_ARGUMENT: every setting out of range; a prompt that fills the context
 */
export async function* generate(
  model: LlamaModel,
  tokenizer: Tokenizer,
  prompt: string | ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, Generation> {
  const ids = promptIds(model, tokenizer, prompt);
  checkOptions(options, ids, model);
  const { maxTokens, stop, seed = 0, stopAtEos = true, signal } = options;
  const rng = new Philox(seed);
  const stream = new TextStream(stop);
  const cache = new KvCache(model.config, {
    capacity: Math.min(model.config.contextLength, ids.length + maxTokens),
  });
  const tokens: number[] = [];
  let text = '';
  let finish: FinishReason = 'length';
  try {
    let logits = nextLogits(model, ids, cache);
    const started = performance.now();
    for (;;) {
      const token = sampleToken(logits, options, rng);
      if (stopAtEos && (token === tokenizer.eosId || token === model.config.eosTokenId)) {
        finish = 'eos';
        break;
      }
      tokens.push(token);
      // An embedding row beyond the tokenizer's ids stands for no bytes.
      const piece = token < tokenizer.vocabSize ? stream.push(tokenizer.tokenBytes(token)) : '';
      text += piece;
      yield { token, text: piece };
      await setImmediate();
      if (stream.isStopped) finish = 'stop';
      else if (signal?.aborted) finish = 'aborted';
      else if (tokens.length < maxTokens && cache.length < cache.capacity) {
        logits = nextLogits(model, Int32Array.of(token), cache);
        continue;
      }
      break;
    }
    const seconds = (performance.now() - started) / 1000;
    const rest = stream.end();
    text += rest;
    const last = tokens.at(-1);
    if (rest !== '' && last !== undefined) yield { token: last, text: rest };
    return {
      text,
      tokens,
      promptTokens: ids.length,
      finish,
      tokensPerSecond: seconds > 0 ? tokens.length / seconds : 0,
    };
  } finally {
    cache.dispose();
  }
}

/** `generate`, for callers who want only the result. */
export async function generateText(
  model: LlamaModel,
  tokenizer: Tokenizer,
  prompt: string | ArrayLike<number>,
  options: GenerateOptions,
): Promise<Generation> {
  const pieces = generate(model, tokenizer, prompt, options);
  for (;;) {
    const step = await pieces.next();
    if (step.done) return step.value;
  }
}

/** Logits [V] after the given tokens, which are added to the cache. */
function nextLogits(model: LlamaModel, ids: Int32Array, cache: KvCache): Float32Array {
  return noGrad(() =>
    scope(() => model.forward(tensor(ids, [1, ids.length]), { cache, lastOnly: true }).toFloat32Array()),
  );
}

function promptIds(model: LlamaModel, tokenizer: Tokenizer, prompt: string | ArrayLike<number>): Int32Array {
  const ids =
    typeof prompt === 'string' ? tokenizer.encode(prompt, { parseSpecial: true }) : Int32Array.from(prompt);
  if (ids.length > 0) return ids;
  const first = model.config.bosTokenId ?? model.config.eosTokenId ?? tokenizer.eosId;
  return first === null ? ids : Int32Array.of(first);
}

function checkOptions(options: GenerateOptions, ids: Int32Array, model: LlamaModel): void {
  const { maxTokens, temperature = 1, topK = 1, topP = 1 } = options;
  const { contextLength, vocabSize } = model.config;
  const violations: FieldViolation[] = [];
  const require = (holds: boolean, field: string, description: string): void => {
    if (!holds) violations.push({ field, description });
  };
  require(Number.isInteger(maxTokens) &&
    maxTokens >= 1, 'maxTokens', `is ${maxTokens}; must be a whole number ≥ 1`);
  require(temperature >= 0 &&
    temperature < Infinity, 'temperature', `is ${temperature}; must be ≥ 0 and finite`);
  require(Number.isInteger(topK) && topK >= 1, 'topK', `is ${topK}; must be a whole number ≥ 1`);
  require(topP > 0 && topP <= 1, 'topP', `is ${topP}; must be above 0 and at most 1`);
  require(ids.length >= 1, 'prompt', 'is empty, and the model has no begin-of-text token');
  require(ids.length <
    contextLength, 'prompt', `has ${ids.length} tokens; the context holds ${contextLength}, one is to be generated`);
  const foreign = ids.find((id) => id < 0 || id >= vocabSize);
  require(foreign === undefined, 'prompt', `has token ${foreign}; the model's ids are 0 to ${vocabSize - 1}`);
  if (violations.length > 0) throw new InvalidGenerationError(violations);
}
