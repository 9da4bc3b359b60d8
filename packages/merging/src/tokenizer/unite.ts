import {
  type AddedToken,
  isScored,
  type MergeRule,
  type TokenizerModel,
  type Vocabulary,
  vocabularyOf,
} from './vocabulary.js';

/** A vocabulary and how many rows of the embedding it may use. */
export interface Donor {
  readonly vocabulary: Vocabulary;
  /** Tokens with higher ids have no embedding, and are left out. */
  readonly rows: number;
}

/** A tokenizer without the tokens that have no embedding; itself when there are none. */
export function stripped({ vocabulary, rows }: Donor): Vocabulary {
  const { json, idOf } = vocabulary;
  const unused = new Set([...idOf].flatMap(([token, id]) => (id >= rows ? [token] : [])));
  if (unused.size === 0) return vocabulary;
  const { vocab, merges } = json.model;
  const kept = isScored(vocab)
    ? vocab.slice(0, rows)
    : Object.fromEntries(Object.entries(vocab).filter(([token]) => !unused.has(token)));
  const isUsable = (rule: MergeRule) =>
    [...partsOf(rule), partsOf(rule).join('')].every((part) => !unused.has(part));
  const model: TokenizerModel = {
    ...json.model,
    vocab: kept,
    ...(merges ? { merges: merges.filter(isUsable) } : {}),
  };
  return vocabularyOf({
    ...json,
    added_tokens: (json.added_tokens ?? []).filter(({ id }) => id < rows),
    model,
  });
}

/**
 * One tokenizer with the tokens of all: those of the first keep their ids, further ones follow, model by model, pieces
 * before added tokens. mergekit gives new pieces to the tokenizer as added tokens; here they are pieces, with the merge
 * rules of their model after the others, so that text with them is read and written as it was.
 * @throws TypeError  tokenizers of different kinds
 */
export function unite([first, ...others]: readonly Donor[]): Vocabulary {
  if (!first) throw new TypeError('no tokenizer to unite');
  const base = stripped(first);
  const { model } = base.json;
  const ids = new Map(base.idOf);
  let next = Math.max(-1, ...ids.values()) + 1;
  const pieces: [string, number][] = [];
  const donors = others.map(stripped);
  for (const { json, idOf } of donors) {
    if (json.model.type !== model.type) {
      throw new TypeError(
        `one tokenizer is ${json.model.type ?? 'of no kind'}, another ${model.type ?? 'of no kind'}`,
      );
    }
    const special = new Set((json.added_tokens ?? []).map(({ content }) => content));
    for (const [token] of [...idOf].sort(([, a], [, b]) => a - b)) {
      if (special.has(token) || ids.has(token)) continue;
      pieces.push([token, next]);
      ids.set(token, next++);
    }
  }
  const added: AddedToken[] = [];
  for (const token of donors.flatMap(({ json }) => json.added_tokens ?? [])) {
    if (ids.has(token.content)) continue;
    added.push({ ...token, id: next });
    ids.set(token.content, next++);
  }
  const models = donors.map(({ json }) => json.model);
  return vocabularyOf({
    ...base.json,
    added_tokens: [...(base.json.added_tokens ?? []), ...added],
    model: extended(model, pieces, models),
  });
}

function extended(
  model: TokenizerModel,
  pieces: readonly (readonly [string, number])[],
  donors: readonly TokenizerModel[],
): TokenizerModel {
  if (isScored(model.vocab)) {
    const scores = new Map(donors.flatMap(({ vocab }) => (isScored(vocab) ? vocab : [])));
    const scored = pieces.map(([token]): [string, number] => [token, scores.get(token) ?? 0]);
    return { ...model, vocab: [...model.vocab, ...scored] };
  }
  const vocab = { ...model.vocab, ...Object.fromEntries(pieces) };
  if (!model.merges) return { ...model, vocab };
  const known = new Set(model.merges.map((rule) => partsOf(rule).join(' ')));
  const further = donors
    .flatMap(({ merges = [] }) => merges)
    .filter((rule) => {
      const [left, right] = partsOf(rule);
      const key = `${left} ${right}`;
      if (known.has(key) || ![left, right, left + right].every((part) => Object.hasOwn(vocab, part)))
        return false;
      known.add(key);
      return true;
    });
  const isText = typeof model.merges[0] === 'string';
  const rules = further.map((rule) => (isText ? partsOf(rule).join(' ') : partsOf(rule)));
  return { ...model, vocab, merges: [...model.merges, ...rules] };
}

function partsOf(rule: MergeRule): readonly [string, string] {
  if (typeof rule !== 'string') return rule;
  const space = rule.indexOf(' ', 1);
  return [rule.slice(0, space), rule.slice(space + 1)];
}

/** A tokenizer with further tokens, which are matched in the text itself. */
export function withTokens(vocabulary: Vocabulary, tokens: Iterable<string>): Vocabulary {
  const { json, idOf } = vocabulary;
  const missing = [...tokens].filter((token) => !idOf.has(token));
  if (missing.length === 0) return vocabulary;
  const first = Math.max(-1, ...idOf.values()) + 1;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: false };
  const added = missing.map((content, i): AddedToken => ({ id: first + i, content, ...flags }));
  return vocabularyOf({ ...json, added_tokens: [...(json.added_tokens ?? []), ...added] });
}
