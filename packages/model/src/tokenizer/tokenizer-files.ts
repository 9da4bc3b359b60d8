import type { BpeVocabulary } from './bpe-vocabulary.js';

/** File name of a tokenizer in Hugging Face's layout. */
export const TOKENIZER_FILE = 'tokenizer.json';
/** File name of the settings beside it. */
export const TOKENIZER_CONFIG_FILE = 'tokenizer_config.json';

/** Settings of the byte-level parts, which hold no data of their own. */
const BYTE_LEVEL = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
} as const;

/** `tokenizer.json` and `tokenizer_config.json` as `transformers.AutoTokenizer` reads them. Deterministic. */
export function writeTokenizerFiles(vocabulary: BpeVocabulary): Map<string, Uint8Array> {
  const { tokens, merges, specialTokens, eosToken } = vocabulary;
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content) => ({
      id: idOf.get(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: BYTE_LEVEL,
    post_processor: null,
    decoder: BYTE_LEVEL,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(idOf),
      merges: merges.map(({ left, right }) => [tokens[left], tokens[right]]),
    },
  };
  const config = {
    add_prefix_space: false,
    bos_token: eosToken,
    clean_up_tokenization_spaces: false,
    eos_token: eosToken,
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  return new Map([
    [TOKENIZER_FILE, encodeJson(tokenizer)],
    [TOKENIZER_CONFIG_FILE, encodeJson(config)],
  ]);
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`);
}
