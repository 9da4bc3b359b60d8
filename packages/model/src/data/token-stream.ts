import type { FieldViolation } from '@agentforge/errors';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { CorpusTooSmallError } from './corpus.errors.js';
import type { SplitName, TextSplit } from './split.js';

/** Tokens to train on or to evaluate, with what is needed to count their bytes. */
export interface TokenStream {
  /** Ids in order; documents are separated by the end-of-text token. */
  readonly tokens: Int32Array;
  /** UTF-8 bytes each id stands for, indexed by id; 0 for special tokens. */
  readonly bytesOfId: Int32Array;
}

/** Token ids of a split: each document followed by the end-of-text token, if the tokenizer has one. */
export function encodeSplit(tokenizer: Tokenizer, split: Pick<TextSplit, 'documents'>): TokenStream {
  const parts: Int32Array[] = [];
  for (const document of split.documents) {
    parts.push(tokenizer.encode(document));
    if (tokenizer.eosId !== null) parts.push(Int32Array.of(tokenizer.eosId));
  }
  const tokens = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    tokens.set(part, at);
    at += part.length;
  }
  const bytesOfId = Int32Array.from({ length: tokenizer.vocabSize }, (_, id) =>
    tokenizer.tokenByteLength(id),
  );
  return { tokens, bytesOfId };
}

/** UTF-8 bytes of tokens `start` (default 0) to `end` (exclusive, default all). */
export function streamBytes({ tokens, bytesOfId }: TokenStream, start = 0, end = tokens.length): number {
  let bytes = 0;
  for (let i = start; i < end; i++) bytes += bytesOfId[tokens[i] ?? 0] ?? 0;
  return bytes;
}

/**
 * Entropy of the token frequencies, nats per token: the loss of the best model without context.
 * @param tokens  at least one
 */
export function unigramEntropy(tokens: Int32Array): number {
  const counts = new Map<number, number>();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / tokens.length) * Math.log(count / tokens.length);
  return entropy;
}

/**
 * Refuses a corpus whose splits cannot fill what is asked of them: one batch of training, one window of the others.
 * @param streams     per split
 * @param batchSize   rows of a batch
 * @param length      tokens of a row
 * @throws CorpusTooSmallError  INVALID_ARGUMENT: every split that is too small, with its tokens and bytes
 */
export function requireCorpusSize(
  streams: Readonly<Partial<Record<SplitName, TokenStream>>>,
  batchSize: number,
  length: number,
): void {
  const violations: FieldViolation[] = [];
  for (const [name, stream] of Object.entries(streams)) {
    const rows = name === 'train' ? batchSize : 1;
    const needed = rows * length + 1;
    if (stream.tokens.length >= needed) continue;
    violations.push({
      field: `corpus.${name}`,
      description: `${stream.tokens.length} tokens (${streamBytes(stream)} bytes); ${rows} × ${length} + 1 = ${needed} tokens are needed`,
    });
  }
  if (violations.length > 0) throw new CorpusTooSmallError(violations);
}
