import type { FieldViolation } from '@agentforge/errors';
import type { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import type { PreTokenizer } from '../tokenizer/pre-tokenize.js';
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
const ADD_BOS = 'tokenizer.ggml.add_bos_token';

/** Names of llama.cpp for the ways of cutting text; the first of each is the one that is written. */
const PRE_NAMES: Readonly<Record<PreTokenizer, readonly string[]>> = {
  gpt2: ['gpt-2', 'default'],
  llama3: ['llama-bpe', 'llama3', 'llama-v3'],
  smollm: ['smollm'],
};

/**
 * What llama.cpp, which has no setting for it, does with Llama 3's pieces and with no others: a piece that is a token
 * becomes that token. A begin-of-text token is added there, too, unless the file says otherwise.
 */
const isLlama3 = (preTokenizer: PreTokenizer): boolean => preTokenizer === 'llama3';

/** Why llama.cpp would encode otherwise, or null. */
export function foreignTokenizer({
  vocabulary: { preTokenizer, ignoreMerges },
}: BpeTokenizer): string | null {
  if (ignoreMerges === isLlama3(preTokenizer)) return null;
  return ignoreMerges
    ? 'ignores merges, which llama.cpp does with the pieces of Llama 3 only'
    : 'merges within tokens of the pieces of Llama 3, which llama.cpp does not';
}

/** Name of a row of the embedding that no token has, as llama.cpp's converter writes it. */
const padding = (id: number): string => `[PAD${id}]`;

/**
 * A byte-level BPE tokenizer as llama.cpp reads it: kind "gpt2", with the name of its pattern. llama.cpp takes the
 * number of tokens for the size of the vocabulary, so rows of the embedding without a token get unused ones.
 * @param vocabSize  rows of the embedding, ≥ tokenizer.vocabSize
 * @param ids        begin and end of text; null leaves them out. The begin of the tokenizer's own goes before the model's
 */
export function tokenizerMetadata(
  { vocabulary, bosId }: BpeTokenizer,
  vocabSize: number,
  ids: { readonly bosTokenId: number | null; readonly eosTokenId: number | null },
): Map<string, GgufValue> {
  const { tokens, merges, preTokenizer, specialTokens } = vocabulary;
  const specials = new Set(specialTokens);
  const all = Array.from({ length: vocabSize }, (_, id) => tokens[id] ?? padding(id));
  const types = Int32Array.from(all, (token, id) => {
    if (id >= tokens.length) return TOKEN_TYPE.unused;
    return specials.has(token) ? TOKEN_TYPE.control : TOKEN_TYPE.normal;
  });
  const metadata = new Map<string, GgufValue>([
    [MODEL, { type: 'string', value: 'gpt2' }],
    [PRE, { type: 'string', value: PRE_NAMES[preTokenizer][0] as string }],
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
  const bosTokenId = bosId ?? ids.bosTokenId;
  if (bosTokenId !== null) metadata.set(BOS, { type: 'u32', value: bosTokenId });
  if (ids.eosTokenId !== null) metadata.set(EOS, { type: 'u32', value: ids.eosTokenId });
  metadata.set(ADD_BOS, { type: 'bool', value: bosId !== null });
  metadata.set('tokenizer.ggml.add_space_prefix', { type: 'bool', value: false });
  return metadata;
}

/**
 * The tokenizer in a file.
 * @throws InvalidGgufError       INVALID_ARGUMENT: no byte-level BPE of GPT-2's, Llama 3's or SmolLM's kind, or one with missing parts
 * @throws InvalidTokenizerError  INVALID_ARGUMENT: ids with equal tokens, merges that join nothing
 */
export function tokenizerFromMetadata(file: string, metadata: GgufMetadata): BpeTokenizer {
  const violations: FieldViolation[] = [];
  const mustBe = (key: string, allowed: readonly string[]): void => {
    const found = metadata.get(key)?.value ?? null;
    if (allowed.includes(String(found))) return;
    violations.push({
      field: key,
      description: `is ${JSON.stringify(found)}; must be ${allowed.join(' or ')}: other tokenizers do not load; the weights do without one (openGgufModel)`,
    });
  };
  mustBe(MODEL, ['gpt2']);
  if (metadata.has(PRE)) mustBe(PRE, Object.values(PRE_NAMES).flat());
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
  const specialOf = (key: string): string | null => {
    const token = named[Number(metadata.get(key)?.value ?? -1)];
    return token !== undefined && specialTokens.includes(token) ? token : null;
  };
  const preTokenizer = preTokenizerOf(String(metadata.get(PRE)?.value));
  const addsBos = metadata.get(ADD_BOS)?.value ?? isLlama3(preTokenizer);
  return bpeFromParts(file, {
    tokens: named,
    merges,
    preTokenizer,
    ignoreMerges: isLlama3(preTokenizer),
    specialTokens,
    bosToken: addsBos === true ? specialOf(BOS) : null,
    eosToken: specialOf(EOS),
  });
}

/** Of a file that does not name its pattern: GPT-2's. */
function preTokenizerOf(name: string): PreTokenizer {
  const kinds = Object.keys(PRE_NAMES) as PreTokenizer[];
  return kinds.find((kind) => PRE_NAMES[kind].includes(name)) ?? 'gpt2';
}
