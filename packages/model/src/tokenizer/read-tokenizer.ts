import type { FieldViolation } from '@agentforge/errors';
import { z } from 'zod';
import { MAX_VOCAB_SIZE, type Merge } from './bpe-merges.js';
import { BpeTokenizer } from './bpe-tokenizer.js';
import { END_OF_TEXT } from './bpe-trainer.js';
import { BYTE_TO_CHAR } from './byte-unicode.js';
import { InvalidTokenizerError } from './tokenizer.errors.js';
import { TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from './tokenizer-files.js';

const falsy = z.literal([false, null]).optional();

/** Nothing, byte offsets, or a template of the text alone, which transformers writes: none adds a token. */
const postProcessor = z
  .discriminatedUnion(
    'type',
    [
      z.looseObject({ type: z.literal('ByteLevel') }),
      z.looseObject({
        type: z.literal('TemplateProcessing'),
        single: z.array(
          z.looseObject({ Sequence: z.looseObject({}, 'must be the text itself: no token is added') }),
        ),
      }),
    ],
    'must be null, ByteLevel or a TemplateProcessing of the text alone',
  )
  .nullish();

/** The part of Hugging Face's `tokenizer.json` that a byte-level BPE uses; anything else is refused by name. */
const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z.int().min(0).max(MAX_VOCAB_SIZE),
        content: z.string().min(1),
        lstrip: falsy,
        rstrip: falsy,
        single_word: falsy,
        special: z.boolean(),
      }),
    )
    .default([]),
  normalizer: z.null('must be null: text is encoded as it is').optional(),
  pre_tokenizer: z.looseObject({
    type: z.literal('ByteLevel', 'must be ByteLevel (GPT-2 style)'),
    add_prefix_space: z.literal(false, 'must be false'),
    use_regex: z.literal(true, 'must be true').optional(),
  }),
  post_processor: postProcessor,
  model: z.looseObject({
    type: z.literal('BPE', 'must be BPE').optional(),
    dropout: z.null('must be null: encoding is deterministic').optional(),
    continuing_subword_prefix: z.literal(['', null], 'must be empty').optional(),
    end_of_word_suffix: z.literal(['', null], 'must be empty').optional(),
    ignore_merges: falsy,
    vocab: z.record(z.string(), z.int().min(0).max(MAX_VOCAB_SIZE)),
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
  const idOf = new Map(Object.entries(parsed.model.vocab));
  checkBytes(idOf, 'model.vocab', violations);
  const merges = resolveMerges(parsed.model.merges, idOf, 'model.merges', violations);
  if (violations.length > 0) throw new InvalidTokenizerError(TOKENIZER_FILE, violations);
  const specialTokens = parsed.added_tokens.map(({ content }) => content);
  const named = typeof config.eos_token === 'string' ? config.eos_token : (config.eos_token?.content ?? null);
  const eosToken = named ?? (specialTokens.includes(END_OF_TEXT) ? END_OF_TEXT : null);
  if (eosToken !== null && !specialTokens.includes(eosToken)) {
    throw new InvalidTokenizerError(TOKENIZER_CONFIG_FILE, [
      { field: 'eos_token', description: `${JSON.stringify(eosToken)} is not among the added tokens` },
    ]);
  }
  return new BpeTokenizer({ tokens, merges, specialTokens, eosToken });
}

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

/** Tokens by id; violations for ids that are missing or used twice and for bytes without a token. */
function orderTokens(parsed: TokenizerJson, violations: FieldViolation[]): string[] {
  const tokens: (string | undefined)[] = [];
  const place = (token: string, id: number, field: string): void => {
    const other = tokens[id];
    if (other !== undefined && other !== token) {
      violations.push({ field, description: `id ${id} is also the id of ${JSON.stringify(other)}` });
    }
    tokens[id] = token;
  };
  for (const [token, id] of Object.entries(parsed.model.vocab)) place(token, id, `model.vocab.${token}`);
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
export interface BpeParts {
  /** Token of each id. */
  readonly tokens: readonly string[];
  /** "left right", in the order they were learned. */
  readonly merges: readonly string[];
  readonly specialTokens: readonly string[];
  readonly eosToken: string | null;
}

/**
 * A byte-level BPE tokenizer from its parts.
 * @param file  name used in the error
 * @throws InvalidTokenizerError  INVALID_ARGUMENT: ids with equal tokens, bytes without one, merges that join nothing
 */
export function bpeFromParts(
  file: string,
  { tokens, merges, specialTokens, eosToken }: BpeParts,
): BpeTokenizer {
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
  checkBytes(idOf, 'tokens', violations);
  const resolved = resolveMerges(merges, idOf, 'merges', violations);
  if (violations.length > 0) throw new InvalidTokenizerError(file, violations);
  return new BpeTokenizer({ tokens, merges: resolved, specialTokens, eosToken });
}

function checkBytes(idOf: ReadonlyMap<string, number>, field: string, violations: FieldViolation[]): void {
  const missing = BYTE_TO_CHAR.filter((char) => !idOf.has(char));
  if (missing.length > 0) {
    violations.push({ field, description: `no token for ${missing.length} of the 256 bytes` });
  }
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
