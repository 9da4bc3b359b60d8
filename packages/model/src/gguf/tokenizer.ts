import type { FieldViolation } from '@agentforge/errors';
import type { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { bpeFromParts } from '../tokenizer/read-tokenizer.js';
import { InvalidGgufError } from './gguf.errors.js';
import type { GgufMetadata, GgufValue } from './values.js';

/** Kinds of tokens in `tokenizer.ggml.token_type`. @see `llama_token_type` of llama.cpp */
const TOKEN_TYPE = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

const MODEL = 'tokenizer.ggml.model';
const PRE = 'tokenizer.ggml.pre';
const TOKENS = 'tokenizer.ggml.tokens';
const TYPES = 'tokenizer.ggml.token_type';
const MERGES = 'tokenizer.ggml.merges';
const EOS = 'tokenizer.ggml.eos_token_id';
const BOS = 'tokenizer.ggml.bos_token_id';

/** Name of a row of the embedding that no token has, as llama.cpp's converter writes it. */
const padding = (id: number): string => `[PAD${id}]`;

/**
 * A byte-level BPE tokenizer as llama.cpp reads it: kind "gpt2", split with GPT-2's pattern. llama.cpp takes the
 * number of tokens for the size of the vocabulary, so rows of the embedding without a token get unused ones.
 * @param vocabSize  rows of the embedding, ≥ tokenizer.vocabSize
 * @param ids        begin and end of text; null leaves them out
 */
export function tokenizerMetadata(
  { vocabulary }: BpeTokenizer,
  vocabSize: number,
  ids: { readonly bosTokenId: number | null; readonly eosTokenId: number | null },
): Map<string, GgufValue> {
  const { tokens, merges, specialTokens } = vocabulary;
  const specials = new Set(specialTokens);
  const all = Array.from({ length: vocabSize }, (_, id) => tokens[id] ?? padding(id));
  const types = Int32Array.from(all, (token, id) => {
    if (id >= tokens.length) return TOKEN_TYPE.unused;
    return specials.has(token) ? TOKEN_TYPE.control : TOKEN_TYPE.normal;
  });
  const metadata = new Map<string, GgufValue>([
    [MODEL, { type: 'string', value: 'gpt2' }],
    [PRE, { type: 'string', value: 'gpt-2' }],
    [TOKENS, { type: 'array', of: 'string', value: all }],
    [TYPES, { type: 'array', of: 'i32', value: types }],
    [
      MERGES,
      {
        type: 'array',
        of: 'string',
        value: merges.map(({ left, right }) => `${tokens[left]} ${tokens[right]}`),
      },
    ],
  ]);
  if (ids.bosTokenId !== null) metadata.set(BOS, { type: 'u32', value: ids.bosTokenId });
  if (ids.eosTokenId !== null) metadata.set(EOS, { type: 'u32', value: ids.eosTokenId });
  metadata.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: false });
  metadata.set('tokenizer.ggml.add_space_prefix', { type: 'bool', value: false });
  return metadata;
}

/**
 * The tokenizer in a file.
 * @throws InvalidGgufError       INVALID_ARGUMENT: no byte-level BPE of GPT-2's kind, or one with missing parts
 * @throws InvalidTokenizerError  INVALID_ARGUMENT: bytes without a token, merges that join nothing
 */
export function tokenizerFromMetadata(file: string, metadata: GgufMetadata): BpeTokenizer {
  const violations: FieldViolation[] = [];
  const mustBe = (key: string, allowed: readonly string[]): void => {
    const found = metadata.get(key)?.value ?? null;
    if (allowed.includes(String(found))) return;
    violations.push({
      field: key,
      description: `is ${JSON.stringify(found)}; must be ${allowed.join(' or ')}: other tokenizers are not supported`,
    });
  };
  mustBe(MODEL, ['gpt2']);
  if (metadata.has(PRE)) mustBe(PRE, ['gpt-2', 'default']);
  const strings = (key: string): readonly string[] => {
    const entry = metadata.get(key);
    if (entry?.type === 'array' && entry.of === 'string') return entry.value;
    violations.push({ field: key, description: 'must be a list of strings' });
    return [];
  };
  const tokens = strings(TOKENS);
  const merges = strings(MERGES);
  const entry = metadata.get(TYPES);
  const types = entry?.type === 'array' && entry.of === 'i32' ? entry.value : null;
  if (types !== null && types.length !== tokens.length) {
    violations.push({ field: TYPES, description: `has ${types.length} entries for ${tokens.length} tokens` });
  }
  if (violations.length > 0) throw new InvalidGgufError(file, violations);
  const typeOf = (id: number): number => Number(types?.[id] ?? TOKEN_TYPE.normal);
  let count = tokens.length;
  while (count > 0 && typeOf(count - 1) === TOKEN_TYPE.unused && tokens[count - 1] === padding(count - 1))
    count--;
  const named = tokens.slice(0, count);
  const special = new Set<number>([TOKEN_TYPE.control, TOKEN_TYPE.userDefined]);
  const specialTokens = named.filter((_, id) => special.has(typeOf(id)));
  const eosId = Number(metadata.get(EOS)?.value ?? -1);
  const eosToken = named[eosId] ?? null;
  return bpeFromParts(file, {
    tokens: named,
    merges,
    specialTokens,
    eosToken: eosToken !== null && specialTokens.includes(eosToken) ? eosToken : null,
  });
}
