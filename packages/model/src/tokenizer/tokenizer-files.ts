import type { BpeVocabulary } from './bpe-vocabulary.js';
import type { PreTokenizer } from './pre-tokenize.js';

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

/** Llama 3's pattern, letter for letter as `tokenizer.json` has it; `preTokenize` says the same in JavaScript. */
export const LLAMA3_REGEX: string = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const PRE_TOKENIZERS: Readonly<Record<PreTokenizer, object>> = {
  gpt2: BYTE_LEVEL,
  llama3: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: LLAMA3_REGEX }, behavior: 'Isolated', invert: false },
      { ...BYTE_LEVEL, use_regex: false },
    ],
  },
  smollm: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, BYTE_LEVEL] },
};

/** The template that puts a token before a text, and before each of two. */
function templateOf(token: string, id: number | undefined) {
  const special = (typeId: number) => ({ SpecialToken: { id: token, type_id: typeId } });
  const text = (name: string, typeId: number) => ({ Sequence: { id: name, type_id: typeId } });
  return {
    type: 'TemplateProcessing',
    single: [special(0), text('A', 0)],
    pair: [special(0), text('A', 0), special(1), text('B', 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/** `tokenizer.json` and `tokenizer_config.json` as `transformers.AutoTokenizer` reads them. Deterministic. */
export function writeTokenizerFiles(vocabulary: BpeVocabulary): Map<string, Uint8Array> {
  const { tokens, merges, preTokenizer, ignoreMerges, specialTokens, bosToken, eosToken } = vocabulary;
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
    pre_tokenizer: PRE_TOKENIZERS[preTokenizer],
    post_processor: bosToken === null ? null : templateOf(bosToken, idOf.get(bosToken)),
    decoder: BYTE_LEVEL,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab: Object.fromEntries(idOf),
      merges: merges.map(({ left, right }) => [tokens[left], tokens[right]]),
    },
  };
  const config = {
    add_prefix_space: false,
    bos_token: bosToken ?? eosToken,
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
