import type { Merge } from './bpe-merges.js';

/** What a byte-level BPE tokenizer consists of. */
export interface BpeVocabulary {
  /** Token of each id: special tokens verbatim, others in GPT-2's byte characters. */
  readonly tokens: readonly string[];
  /** Merges in the order they were learned. */
  readonly merges: readonly Merge[];
  /** Tokens that stand for no bytes. */
  readonly specialTokens: readonly string[];
  /** The special token that ends a text, or null. */
  readonly eosToken: string | null;
}
