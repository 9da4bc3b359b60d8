import { describe, type Fields, type Problems } from './fields.js';
import type { RecipePath, TokenizerRequest, TokenRequest, TokenSource } from './recipe.js';

const WORDS = ['union', 'base'] as const;

/** What `tokenizer_source` or `tokenizer` asks for. */
export function checkTokenizer(fields: Fields, problems: Problems): TokenizerRequest | undefined {
  const { tokenizer_source: source, tokenizer } = fields;
  if (source !== undefined && tokenizer !== undefined) {
    problems.add(
      ['tokenizer_source'],
      'stands beside tokenizer, which says the same in more detail: remove one',
    );
  }
  if (source !== undefined && source !== null && tokenizer === undefined) {
    return request(['tokenizer_source'], sourceOf(source, ['tokenizer_source'], problems));
  }
  if (tokenizer === undefined || tokenizer === null) return undefined;
  const path: RecipePath = ['tokenizer'];
  const own = problems.map(tokenizer, path, ['source', 'tokens', 'pad_to_multiple_of']);
  if (!own) return undefined;
  const tokens = new Map<string, TokenRequest>();
  const given = own['tokens'] ?? undefined;
  for (const [token, value] of Object.entries(
    given === undefined ? {} : (problems.map(given, [...path, 'tokens'], null) ?? {}),
  )) {
    tokens.set(token, tokenRequest(value, [...path, 'tokens', token], problems));
  }
  const padding = own['pad_to_multiple_of'] ?? 1;
  return {
    ...request([...path, 'source'], sourceOf(own['source'] ?? 'union', [...path, 'source'], problems)),
    tokens,
    padToMultipleOf: problems.wholeNumber(padding, [...path, 'pad_to_multiple_of'], 1) ?? 1,
  };
}

function request(path: RecipePath, source: TokenizerRequest['source']): TokenizerRequest {
  return { path, source, tokens: new Map(), padToMultipleOf: 1 };
}

function sourceOf(value: unknown, path: RecipePath, problems: Problems): TokenizerRequest['source'] {
  const word = WORDS.find((one) => one === value);
  if (word !== undefined) return word;
  const model = problems.text(value, path, 'union, base or model');
  return model === undefined ? 'base' : { model };
}

function tokenRequest(value: unknown, path: RecipePath, problems: Problems): TokenRequest {
  const fields = problems.map(value, path, ['source', 'force']) ?? {};
  const { force = false } = fields;
  if (typeof force !== 'boolean') problems.add([...path, 'force'], `${describe(force)} is not true or false`);
  return {
    path,
    force: force === true,
    source: tokenSource(fields['source'], [...path, 'source'], problems),
  };
}

function tokenSource(value: unknown, path: RecipePath, problems: Problems): TokenSource {
  if (value === undefined || value === null) return { kind: 'default' };
  if (typeof value === 'string') return { kind: 'model', model: value };
  const fields = problems.map(value, path, ['kind', 'model', 'token', 'token_id']) ?? {};
  const kind = problems.oneOf(fields['kind'], [...path, 'kind'], ['zero', 'model_token']);
  if (kind !== 'model_token') return { kind: 'zero' };
  const model = problems.text(fields['model'], [...path, 'model'], 'model') ?? '';
  const { token, token_id: id } = fields;
  if ((token === undefined) === (id === undefined)) {
    problems.add(path, 'needs either token or token_id');
    return { kind: 'zero' };
  }
  if (token !== undefined)
    return { kind, model, token: problems.text(token, [...path, 'token'], 'token') ?? '' };
  return { kind, model, token: problems.wholeNumber(id, [...path, 'token_id'], 0) ?? 0 };
}
