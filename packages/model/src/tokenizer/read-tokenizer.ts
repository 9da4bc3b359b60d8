import type { FieldViolation } from '@agentforge/errors';
import { z } from 'zod';
import { MAX_VOCAB_SIZE, type Merge } from './bpe-merges.js';
import { BpeTokenizer } from './bpe-tokenizer.js';
import { END_OF_TEXT } from './bpe-trainer.js';
import type { BpeVocabulary } from './bpe-vocabulary.js';
import { BYTE_TO_CHAR } from './byte-unicode.js';
import type { PreTokenizer } from './pre-tokenize.js';
import { InvalidTokenizerError } from './tokenizer.errors.js';
import { LLAMA3_REGEX, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from './tokenizer-files.js';

const falsy = z.literal([false, null]).optional();

const OTHERS = 'tokenizers of other kinds do not load; the weights do without one (loadWeights, openWeights)';
const KINDS = `must be that of GPT-2 (ByteLevel), Llama 3 (Split and ByteLevel) or SmolLM (Digits and ByteLevel): ${OTHERS}`;

const byteLevel = {
  type: z.literal('ByteLevel', 'must be ByteLevel'),
  add_prefix_space: z.literal(false, 'must be false'),
};
/** Cut by GPT-2's pattern, which is what an absent field means. */
const splittingByteLevel = z.looseObject({
  ...byteLevel,
  use_regex: z.literal(true, 'must be true').optional(),
});
/** Cut by what came before. */
const plainByteLevel = z.looseObject({
  ...byteLevel,
  use_regex: z.literal(false, 'must be false after Split'),
});
const llama3Split = z.looseObject({
  type: z.literal('Split', KINDS),
  pattern: z.looseObject(
    { Regex: z.literal(LLAMA3_REGEX, `must be the pattern of Llama 3, letter for letter: ${OTHERS}`) },
    `must be the pattern of Llama 3, as Regex: ${OTHERS}`,
  ),
  behavior: z.literal('Isolated', 'must be Isolated'),
  invert: z.literal(false, 'must be false').optional(),
});
const everyDigit = z.looseObject({
  type: z.literal('Digits', KINDS),
  individual_digits: z.literal(true, 'must be true'),
});

/** How text is cut: GPT-2's one step, or the two of Llama 3 and of SmolLM. */
const preTokenizer = z
  .discriminatedUnion(
    'type',
    [
      splittingByteLevel,
      z.looseObject({
        type: z.literal('Sequence'),
        pretokenizers: z.array(z.looseObject({ type: z.string() })),
      }),
    ],
    KINDS,
  )
  .transform((value, context): PreTokenizer => {
    if (value.type === 'ByteLevel') return 'gpt2';
    const isDigits = value.pretokenizers[0]?.type === 'Digits';
    const steps = isDigits
      ? z.tuple([everyDigit, splittingByteLevel], KINDS)
      : z.tuple([llama3Split, plainByteLevel], KINDS);
    for (const { path, message } of steps.safeParse(value.pretokenizers).error?.issues ?? []) {
      context.addIssue({ code: 'custom', path: ['pretokenizers', ...path], message });
    }
    return isDigits ? 'smollm' : 'llama3';
  });

const offsets = z.looseObject({ type: z.literal('ByteLevel') });
const sequencePart = z.looseObject({ Sequence: z.looseObject({ id: z.literal('A') }) });
/** The text alone, as transformers writes it, or after one token, as Llama 3 has it. */
const template = z.looseObject({
  type: z.literal('TemplateProcessing'),
  single: z.union(
    [
      z.tuple([sequencePart]),
      z.tuple([z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }) }), sequencePart]),
    ],
    'must be the text itself, or one token and the text: no other token is added',
  ),
});
const POST_PROCESSORS =
  'must be null, ByteLevel, a TemplateProcessing of the text with or without a token before it, or a Sequence of these';

/** The token that is put before a text, or null. Byte offsets are nothing to us. */
const postProcessor = z
  .discriminatedUnion(
    'type',
    [
      offsets,
      template,
      z.looseObject({
        type: z.literal('Sequence'),
        processors: z.array(z.discriminatedUnion('type', [offsets, template], POST_PROCESSORS)),
      }),
    ],
    POST_PROCESSORS,
  )
  .nullish()
  .transform((value, context): string | null => {
    if (value == null) return null;
    const steps = value.type === 'Sequence' ? value.processors : [value];
    const added = steps.flatMap((step) => {
      const first = step.type === 'TemplateProcessing' ? step.single[0] : {};
      return 'SpecialToken' in first ? [(first as { SpecialToken: { id: string } }).SpecialToken.id] : [];
    });
    if (added.length > 1) context.addIssue({ code: 'custom', message: 'must add one token at most' });
    return added[0] ?? null;
  });

const tokenId = z.int().min(0).max(MAX_VOCAB_SIZE);

/** Ids by token. A record of zod would leave out a token that is spelt `__proto__`. */
const vocabulary = z.unknown().transform((value, context): ReadonlyMap<string, number> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    context.addIssue({ code: 'custom', message: 'must be an object of ids by token' });
    return z.NEVER;
  }
  const idOf = new Map<string, number>();
  for (const [token, id] of Object.entries(value as Record<string, unknown>)) {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= MAX_VOCAB_SIZE)
      idOf.set(token, id);
    else {
      const message = `must be a whole number from 0 to ${MAX_VOCAB_SIZE}`;
      context.addIssue({ code: 'custom', path: [token], message });
    }
  }
  return idOf;
});

/** The part of Hugging Face's `tokenizer.json` that a byte-level BPE uses; anything else is refused by name. */
const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: tokenId,
        content: z.string().min(1),
        lstrip: falsy,
        rstrip: falsy,
        single_word: falsy,
        special: z.boolean(),
      }),
    )
    .default([]),
  normalizer: z.null('must be null: text is encoded as it is').optional(),
  pre_tokenizer: preTokenizer,
  post_processor: postProcessor,
  model: z.looseObject({
    type: z.literal('BPE', 'must be BPE').optional(),
    dropout: z.null('must be null: encoding is deterministic').optional(),
    continuing_subword_prefix: z.literal(['', null], 'must be empty').optional(),
    end_of_word_suffix: z.literal(['', null], 'must be empty').optional(),
    ignore_merges: z.boolean().nullish(),
    unk_token: z.string().nullish(),
    byte_fallback: z.boolean().nullish(),
    vocab: vocabulary,
    merges: z.array(
      z.union([z.string(), z.tuple([z.string(), z.string()])], 'must be "left right" or ["left", "right"]'),
    ),
  }),
});

type TokenizerJson = z.infer<typeof tokenizerSchema>;

const configSchema = z.looseObject({
  eos_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});

/**
 * A byte-level BPE tokenizer from Hugging Face's files.
 * @param json        content of `tokenizer.json`
 * @param configJson  content of `tokenizer_config.json`, which names the end-of-text token; without it
 *                    `<|endoftext|>` is taken when the vocabulary has it
 * @throws InvalidTokenizerError  INVALID_ARGUMENT: every problem of the file, by field
 */
export function readTokenizer(json: Uint8Array | string, configJson?: Uint8Array | string): BpeTokenizer {
  const parsed = parse(tokenizerSchema, json, TOKENIZER_FILE);
  const config = configJson === undefined ? {} : parse(configSchema, configJson, TOKENIZER_CONFIG_FILE);
  const violations: FieldViolation[] = [];
  const tokens = orderTokens(parsed, violations);
  const { vocab: idOf } = parsed.model;
  checkBytes(parsed, idOf, violations);
  const merges = resolveMerges(parsed.model.merges, idOf, 'model.merges', violations);
  const specialTokens = parsed.added_tokens.map(({ content }) => content);
  const bosToken = parsed.post_processor;
  if (bosToken !== null && !specialTokens.includes(bosToken)) {
    violations.push({ field: 'post_processor', description: notAdded(bosToken) });
  }
  if (violations.length > 0) throw new InvalidTokenizerError(TOKENIZER_FILE, violations);
  const named = typeof config.eos_token === 'string' ? config.eos_token : (config.eos_token?.content ?? null);
  const eosToken = named ?? (specialTokens.includes(END_OF_TEXT) ? END_OF_TEXT : null);
  if (eosToken !== null && !specialTokens.includes(eosToken)) {
    throw new InvalidTokenizerError(TOKENIZER_CONFIG_FILE, [
      { field: 'eos_token', description: notAdded(eosToken) },
    ]);
  }
  return new BpeTokenizer({
    tokens,
    merges,
    preTokenizer: parsed.pre_tokenizer,
    ignoreMerges: parsed.model.ignore_merges ?? false,
    specialTokens,
    bosToken,
    eosToken,
  });
}

const notAdded = (token: string): string => `${JSON.stringify(token)} is not among the added tokens`;

function parse<T extends z.ZodType>(schema: T, json: Uint8Array | string, file: string): z.infer<T> {
  let value: unknown;
  try {
    value = JSON.parse(
      typeof json === 'string' ? json : new TextDecoder('utf-8', { fatal: true }).decode(json),
    );
  } catch (error) {
    throw new InvalidTokenizerError(file, [{ field: '', description: `is not JSON (${String(error)})` }]);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidTokenizerError(
    file,
    result.error.issues.map(({ path, message }) => ({ field: path.join('.'), description: message })),
  );
}

/** Tokens by id; violations for ids that are missing or used twice. */
function orderTokens(parsed: TokenizerJson, violations: FieldViolation[]): string[] {
  const tokens: (string | undefined)[] = [];
  const place = (token: string, id: number, field: string): void => {
    const other = tokens[id];
    if (other !== undefined && other !== token) {
      violations.push({ field, description: `id ${id} is also the id of ${JSON.stringify(other)}` });
    }
    tokens[id] = token;
  };
  for (const [token, id] of parsed.model.vocab) place(token, id, `model.vocab.${token}`);
  for (const { content, id } of parsed.added_tokens) place(content, id, 'added_tokens');
  const gaps: number[] = [];
  for (let id = 0; id < tokens.length; id++) if (tokens[id] === undefined) gaps.push(id);
  if (gaps.length > 0) {
    violations.push({
      field: 'model.vocab',
      description: `no token for ${gaps.length} ids, first ${gaps[0]}`,
    });
  }
  return tokens.map((token) => token ?? '');
}

/** What a vocabulary is put together from when it does not come from Hugging Face's files. */
export interface BpeParts extends Omit<BpeVocabulary, 'merges'> {
  /** "left right", in the order they were learned. */
  readonly merges: readonly string[];
}

/**
 * A byte-level BPE tokenizer from its parts.
 * @param file  name used in the error
 * @throws InvalidTokenizerError  INVALID_ARGUMENT: ids with equal tokens, merges that join nothing
 */
export function bpeFromParts(file: string, { merges, ...parts }: BpeParts): BpeTokenizer {
  const { tokens } = parts;
  const violations: FieldViolation[] = [];
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  tokens.forEach((token, id) => {
    const other = idOf.get(token);
    if (other !== id) {
      violations.push({
        field: `tokens[${id}]`,
        description: `${JSON.stringify(token)} is also the token of id ${other}`,
      });
    }
  });
  const resolved = resolveMerges(merges, idOf, 'merges', violations);
  if (violations.length > 0) throw new InvalidTokenizerError(file, violations);
  return new BpeTokenizer({ ...parts, merges: resolved });
}

/**
 * Vocabularies that were not started with all bytes, as SmolLM's, lack some, and text loses them. What would stand in
 * their place elsewhere is refused.
 */
function checkBytes(
  { model: { unk_token: unknown, byte_fallback: hasFallback } }: TokenizerJson,
  idOf: ReadonlyMap<string, number>,
  violations: FieldViolation[],
): void {
  const missing = BYTE_TO_CHAR.filter((char) => !idOf.has(char)).length;
  if (missing === 0) return;
  const description = `must be null or false: the vocabulary has no token for ${missing} of the 256 bytes, and nothing can stand for them`;
  if (unknown != null) violations.push({ field: 'model.unk_token', description });
  if (hasFallback) violations.push({ field: 'model.byte_fallback', description });
}

function resolveMerges(
  texts: readonly (string | readonly [string, string])[],
  idOf: ReadonlyMap<string, number>,
  field: string,
  violations: FieldViolation[],
): Merge[] {
  const merges: Merge[] = [];
  texts.forEach((merge, rank) => {
    const parts = typeof merge === 'string' ? merge.split(' ') : merge;
    const [leftText = '', rightText = ''] = parts;
    const left = idOf.get(leftText);
    const right = idOf.get(rightText);
    const merged = idOf.get(leftText + rightText);
    if (parts.length !== 2 || left === undefined || right === undefined || merged === undefined) {
      violations.push({
        field: `${field}[${rank}]`,
        description: `${JSON.stringify(merge)} does not join two tokens of the vocabulary into a third`,
      });
      return;
    }
    merges.push({ left, right, merged });
  });
  return merges;
}
