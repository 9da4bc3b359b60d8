/** A `tokenizer.json`, as far as merging looks at it. */
export interface TokenizerJson {
  readonly added_tokens?: readonly AddedToken[];
  readonly model: TokenizerModel;
}

/** A token that is matched in the text itself. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly [setting: string]: unknown;
}

/** A rule that joins two pieces. */
export type MergeRule = string | readonly [string, string];

/** The part that has pieces: BPE and WordPiece by name, Unigram as a list with scores. */
export interface TokenizerModel {
  readonly type?: string;
  readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  readonly merges?: readonly MergeRule[];
  readonly [setting: string]: unknown;
}

/** Which token has which id. */
export interface Vocabulary {
  readonly json: TokenizerJson;
  readonly idOf: ReadonlyMap<string, number>;
}

/**
 * The vocabulary of a `tokenizer.json`.
 * @throws SyntaxError, TypeError  it is none
 */
export function readVocabulary(bytes: Uint8Array): Vocabulary {
  const json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as TokenizerJson | null;
  const pieces = json?.model?.vocab;
  if (typeof pieces !== 'object' || pieces === null) throw new TypeError('tokenizer.json has no model.vocab');
  return vocabularyOf(json as TokenizerJson);
}

/** Vocabularies by their files: models of one family have the same, which is parsed once. */
export class Vocabularies {
  private readonly known: { readonly bytes: Uint8Array; readonly vocabulary: Vocabulary }[] = [];

  /** As {@link readVocabulary}; equal bytes give the same object. */
  read(bytes: Uint8Array): Vocabulary {
    const found = this.known.find((one) => Buffer.compare(one.bytes, bytes) === 0);
    if (found) return found.vocabulary;
    const vocabulary = readVocabulary(bytes);
    this.known.push({ bytes, vocabulary });
    return vocabulary;
  }
}

/** The vocabulary of a parsed `tokenizer.json`. */
export function vocabularyOf(json: TokenizerJson): Vocabulary {
  const { vocab } = json.model;
  const idOf = new Map<string, number>(
    isScored(vocab) ? vocab.map(([token], id) => [token, id]) : Object.entries(vocab),
  );
  for (const { content, id } of json.added_tokens ?? []) idOf.set(content, id);
  return { json, idOf };
}

/** Whether pieces are a list with scores. */
export function isScored(vocab: TokenizerModel['vocab']): vocab is readonly (readonly [string, number])[] {
  return Array.isArray(vocab);
}

/** How two vocabularies differ, for people; null when every token has the same id in both. */
export function differenceOf(a: Vocabulary, b: Vocabulary): string | null {
  if (a === b) return null;
  let others = 0;
  let missing = 0;
  for (const [token, id] of a.idOf) {
    const other = b.idOf.get(token);
    if (other === undefined) missing++;
    else if (other !== id) others++;
  }
  const added = b.idOf.size - (a.idOf.size - missing);
  if (others + missing + added === 0) return null;
  return `${others} tokens have other ids, ${missing} are missing, ${added} are new`;
}
