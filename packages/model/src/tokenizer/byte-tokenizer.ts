import { BpeTokenizer } from './bpe-tokenizer.js';
import { END_OF_TEXT } from './bpe-trainer.js';
import { ALPHABET_ORDER, BYTE_TO_CHAR } from './byte-unicode.js';

/** A tokenizer without merges: one token per byte after the end-of-text token, 257 ids. For tests and tiny data. */
export function byteTokenizer(): BpeTokenizer {
  return new BpeTokenizer({
    tokens: [END_OF_TEXT, ...ALPHABET_ORDER.map((byte) => BYTE_TO_CHAR[byte] ?? '')],
    merges: [],
    preTokenizer: 'gpt2',
    ignoreMerges: false,
    specialTokens: [END_OF_TEXT],
    bosToken: null,
    eosToken: END_OF_TEXT,
  });
}
