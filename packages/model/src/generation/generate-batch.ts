import { setImmediate } from 'node:timers/promises';
import type { FieldViolation } from '@agentforge/errors';
import { KvCache } from '../llama/kv-cache.js';
import type { LlamaModel } from '../llama/llama-model.js';
import { RowCaches } from '../llama/row-caches.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { checkGeneration, type Prompt, promptIds } from './check-generation.js';
import { Continuation } from './continuation.js';
import { nextLogits } from './generate.js';
import { InvalidGenerationError } from './generation.errors.js';
import type { GeneratedToken, GenerateOptions, Generation } from './generation.js';

/** Settings of `generateBatch`. */
export interface GenerateBatchOptions extends GenerateOptions {
  /** Most prompts that are continued together; each holds a cache of its own. Default 16. */
  readonly concurrency?: number;
}

/** One step of one prompt of a batch. */
export interface BatchToken extends GeneratedToken {
  /** Index of the prompt. */
  readonly prompt: number;
}

/** A prompt that is being continued, with its cache. */
interface Row {
  readonly prompt: number;
  readonly continuation: Continuation;
  readonly cache: KvCache;
  /** Chosen last, not yet in the cache. */
  last: number;
}

const DEFAULT_CONCURRENCY = 16;

/**
 * Continues prompts of any lengths together: each step puts one token of every prompt through the model at once.
 * When a prompt ends, the next waiting one takes its place. Prompt i draws with seed + i, so it gets what `generate`
 * gives with that seed; logits of a batch differ from those of one row by rounding only (1e-5 of the largest).
 * @returns  the results, in the order of the prompts; those not finished when `signal` aborts say `aborted`
 * @throws InvalidGenerationError  INVALID_ARGUMENT: every setting and every prompt that is wrong
 */
export async function* generateBatch(
  model: LlamaModel,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  options: GenerateBatchOptions,
): AsyncGenerator<BatchToken, Generation[]> {
  const { seed = 0, concurrency = DEFAULT_CONCURRENCY, signal } = options;
  const ids = prompts.map((prompt) => promptIds(model, tokenizer, prompt));
  checkBatch(options, ids, model);
  const continuations = ids.map(
    (prompt, i) => new Continuation(model.config, tokenizer, prompt, options, BigInt(seed) + BigInt(i)),
  );
  let rows: Row[] = [];
  let waiting = 0;
  try {
    while (!signal?.aborted) {
      while (waiting < continuations.length && rows.length < concurrency && !signal?.aborted) {
        const continuation = continuations[waiting] as Continuation;
        const row = {
          prompt: waiting,
          continuation,
          cache: new KvCache(model.config, continuation),
          last: 0,
        };
        rows.push(row);
        waiting++;
        yield* takeStep(row, nextLogits(model, continuation.ids, 1, row.cache));
        await setImmediate();
      }
      rows = dropEnded(rows);
      if (rows.length > 0) {
        const tokens = Int32Array.from(rows, ({ last }) => last);
        const logits = nextLogits(model, tokens, rows.length, new RowCaches(rows.map(({ cache }) => cache)));
        const width = logits.length / rows.length;
        for (const [i, row] of rows.entries()) {
          yield* takeStep(row, logits.subarray(i * width, (i + 1) * width));
        }
        await setImmediate();
        rows = dropEnded(rows);
      }
      if (rows.length === 0 && waiting === continuations.length) break;
    }
    for (const { prompt, continuation } of rows) {
      const rest = continuation.rest();
      if (rest !== null) yield { prompt, ...rest };
    }
    return continuations.map((continuation) => continuation.result());
  } finally {
    for (const { cache } of rows) cache.dispose();
  }
}

function* takeStep(row: Row, logits: Float32Array): Generator<BatchToken> {
  const { prompt, continuation } = row;
  const piece = continuation.step(logits);
  if (piece !== null) {
    row.last = piece.token;
    yield { prompt, ...piece };
  }
  if (continuation.finish === null) return;
  const rest = continuation.rest();
  if (rest !== null) yield { prompt, ...rest };
}

function dropEnded(rows: readonly Row[]): Row[] {
  for (const { continuation, cache } of rows) if (continuation.finish !== null) cache.dispose();
  return rows.filter(({ continuation }) => continuation.finish === null);
}

function checkBatch(options: GenerateBatchOptions, ids: readonly Int32Array[], model: LlamaModel): void {
  const { concurrency = DEFAULT_CONCURRENCY } = options;
  const violations: FieldViolation[] = [];
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    violations.push({
      field: 'concurrency',
      description: `is ${concurrency}; must be a whole number ≥ 1`,
    });
  }
  try {
    checkGeneration(
      options,
      ids.map((prompt, i) => [`prompts[${i}]`, prompt]),
      model,
    );
  } catch (error) {
    if (!(error instanceof InvalidGenerationError)) throw error;
    violations.push(...error.fieldViolations);
  }
  if (violations.length > 0) throw new InvalidGenerationError(violations);
}
