import type { FieldViolation } from '@agentforge/errors';
import { BinaryHeap } from './binary-heap.js';
import { MAX_VOCAB_SIZE, type Merge, pairKey } from './bpe-merges.js';
import { BpeTokenizer } from './bpe-tokenizer.js';
import { ALPHABET_ORDER, BYTE_TO_CHAR } from './byte-unicode.js';
import { countPieces, wellFormed } from './pre-tokenize.js';
import { TokenizerTrainingError } from './tokenizer.errors.js';

/** The token that separates documents and ends a generation. */
export const END_OF_TEXT = '<|endoftext|>';

/** Settings of `trainBpe`. */
export interface BpeTrainingOptions {
  /** Ids to aim for, special tokens and the 256 bytes included. A small corpus may give fewer. */
  readonly vocabSize: number;
  /** A pair seen less often than this is not merged. Default 2. */
  readonly minFrequency?: number;
  /** Get the first ids. The first of them is the end-of-text token. Default `<|endoftext|>` alone. */
  readonly specialTokens?: readonly string[];
  /** Called between texts and merges; throw from it to stop. */
  readonly checkCancelled?: () => void;
}

interface PairStatistics {
  count: number;
  /** Words that contain, or once contained, the pair. */
  readonly words: number[];
}

interface Candidate {
  count: number;
  readonly key: number;
}

/**
 * Learns a byte-level BPE vocabulary: start from the 256 bytes, and again and again merge the most frequent
 * adjacent pair of tokens; among equals the pair with the smaller ids. Deterministic: the same texts in any
 * order give the same tokenizer, and it equals Hugging Face's `BpeTrainer` with the byte alphabet.
 * @param texts  consumed once; special tokens in them are treated as text
 * @throws TokenizerTrainingError  INVALID_ARGUMENT: every option out of range
 * @see Sennrich et al. 2016, arXiv:1508.07909, algorithm 1
 */
export function trainBpe(texts: Iterable<string>, options: BpeTrainingOptions): BpeTokenizer {
  const specialTokens = options.specialTokens ?? [END_OF_TEXT];
  const minFrequency = options.minFrequency ?? 2;
  validateOptions(options.vocabSize, minFrequency, specialTokens);
  const pieceCounts = new Map<string, number>();
  for (const text of texts) {
    options.checkCancelled?.();
    countPieces(wellFormed(text), pieceCounts);
  }
  const firstByteId = specialTokens.length;
  const tokens = [...specialTokens, ...ALPHABET_ORDER.map((byte) => BYTE_TO_CHAR[byte] ?? '')];
  const words = new WordTable(pieceCounts, firstByteId);
  const merges = learnMerges(words, tokens, options.vocabSize, minFrequency, options.checkCancelled);
  return new BpeTokenizer({
    tokens,
    merges,
    preTokenizer: 'gpt2',
    ignoreMerges: false,
    specialTokens,
    bosToken: null,
    eosToken: specialTokens[0] ?? null,
  });
}

function validateOptions(vocabSize: number, minFrequency: number, specialTokens: readonly string[]): void {
  const violations: FieldViolation[] = [];
  const smallest = 256 + specialTokens.length;
  if (!Number.isInteger(vocabSize) || vocabSize < smallest || vocabSize > MAX_VOCAB_SIZE) {
    violations.push({
      field: 'vocabSize',
      description: `is ${vocabSize}; must be a whole number from ${smallest} (256 bytes and ${specialTokens.length} special tokens) to ${MAX_VOCAB_SIZE}`,
    });
  }
  if (!Number.isInteger(minFrequency) || minFrequency < 1) {
    violations.push({ field: 'minFrequency', description: `is ${minFrequency}; must be a whole number ≥ 1` });
  }
  if (
    specialTokens.some((token) => token.length === 0) ||
    new Set(specialTokens).size < specialTokens.length
  ) {
    violations.push({ field: 'specialTokens', description: 'must be distinct and not empty' });
  }
  if (violations.length > 0) throw new TokenizerTrainingError(violations);
}

/** The distinct pieces of the corpus as sequences of token ids, with how often each occurs. */
class WordTable {
  readonly symbols: number[][] = [];
  readonly counts: number[] = [];

  constructor(pieceCounts: ReadonlyMap<string, number>, firstByteId: number) {
    const idOfByte = new Int32Array(256);
    ALPHABET_ORDER.forEach((byte, order) => {
      idOfByte[byte] = firstByteId + order;
    });
    const encoder = new TextEncoder();
    for (const [piece, count] of pieceCounts) {
      this.symbols.push(Array.from(encoder.encode(piece), (byte) => idOfByte[byte] ?? 0));
      this.counts.push(count);
    }
  }
}

function learnMerges(
  words: WordTable,
  tokens: string[],
  vocabSize: number,
  minFrequency: number,
  checkCancelled: (() => void) | undefined,
): Merge[] {
  const pairs = countPairs(words);
  const heap = new BinaryHeap<Candidate>(
    (a, b) => a.count > b.count || (a.count === b.count && a.key < b.key),
  );
  for (const [key, { count }] of pairs) heap.push({ count, key });
  const idOfToken = new Map(tokens.map((token, id) => [token, id]));
  const merges: Merge[] = [];
  while (tokens.length < vocabSize) {
    checkCancelled?.();
    const top = heap.pop();
    if (top === undefined) break;
    const statistics = pairs.get(top.key);
    if (statistics === undefined) continue;
    if (statistics.count !== top.count) {
      if (statistics.count > 0) heap.push({ count: statistics.count, key: top.key });
      continue;
    }
    if (top.count < minFrequency) break;
    const left = Math.floor(top.key / MAX_VOCAB_SIZE);
    const right = top.key - left * MAX_VOCAB_SIZE;
    const text = `${tokens[left]}${tokens[right]}`;
    // Two different pairs can spell the same token (runs of one character): it keeps its first id.
    let merged = idOfToken.get(text);
    if (merged === undefined) {
      merged = tokens.length;
      tokens.push(text);
      idOfToken.set(text, merged);
    }
    merges.push({ left, right, merged });
    pairs.delete(top.key);
    for (const key of applyMerge(words, pairs, statistics.words, { left, right, merged })) {
      const count = pairs.get(key)?.count ?? 0;
      if (count > 0) heap.push({ count, key });
    }
  }
  return merges;
}

function countPairs(words: WordTable): Map<number, PairStatistics> {
  const pairs = new Map<number, PairStatistics>();
  words.symbols.forEach((symbols, word) => {
    const count = words.counts[word] ?? 0;
    for (let i = 0; i + 1 < symbols.length; i++) {
      changePair(pairs, pairKey(symbols[i] ?? 0, symbols[i + 1] ?? 0), count, word);
    }
  });
  return pairs;
}

function changePair(pairs: Map<number, PairStatistics>, key: number, change: number, word: number): void {
  const statistics = pairs.get(key);
  if (statistics === undefined) {
    if (change > 0) pairs.set(key, { count: change, words: [word] });
    return;
  }
  statistics.count += change;
  if (change > 0 && statistics.words.at(-1) !== word) statistics.words.push(word);
}

/** Rewrites every word that holds the pair; returns the keys of pairs that became more frequent. */
function applyMerge(
  words: WordTable,
  pairs: Map<number, PairStatistics>,
  affected: readonly number[],
  { left, right, merged }: Merge,
): Set<number> {
  const grown = new Set<number>();
  for (const word of new Set(affected)) {
    const symbols = words.symbols[word] ?? [];
    const count = words.counts[word] ?? 0;
    const grow = (a: number, b: number): void => {
      const key = pairKey(a, b);
      changePair(pairs, key, count, word);
      grown.add(key);
    };
    const shrink = (a: number, b: number): void => changePair(pairs, pairKey(a, b), -count, word);
    let write = 0;
    for (let read = 0; read < symbols.length; read++) {
      if (symbols[read] !== left || symbols[read + 1] !== right) {
        symbols[write++] = symbols[read] ?? 0;
        continue;
      }
      const before = symbols[write - 1];
      if (write > 0 && before !== undefined) {
        shrink(before, left);
        grow(before, merged);
      }
      const after = symbols[read + 2];
      if (after !== undefined) {
        shrink(right, after);
        grow(merged, after);
      }
      symbols[write++] = merged;
      read++;
    }
    symbols.length = write;
  }
  return grown;
}
