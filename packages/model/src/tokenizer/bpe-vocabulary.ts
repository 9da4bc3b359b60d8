import type { Merge } from './bpe-merges.js';
import type { PreTokenizer } from './pre-tokenize.js';

/** What a byte-level BPE tokenizer consists of. */
export interface BpeVocabulary {
  /** Token of each id: special tokens verbatim, others in GPT-2's byte characters. */
  readonly tokens: readonly string[];
  /** Merges in the order they were learned. */
  readonly merges: readonly Merge[];
  /** How text is cut into the pieces that merges never cross. */
  readonly preTokenizer: PreTokenizer;
  /** Whether a piece that is a token becomes that token, whatever the merges would make of it. */
  readonly ignoreMerges: boolean;
  /** Tokens that stand for no bytes. */
  readonly specialTokens: readonly string[];
  /** The special token that goes before a prompt, or null. `encode` does not add it. */
  readonly bosToken: string | null;
  /** The special token that ends a text, or null. */
  readonly eosToken: string | null;
}
