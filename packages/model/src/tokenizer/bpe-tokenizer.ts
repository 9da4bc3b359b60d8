import { MergeTable } from './bpe-merges.js';
import type { BpeVocabulary } from './bpe-vocabulary.js';
import { bytesToChars, charsToBytes } from './byte-unicode.js';
import { preTokenize, wellFormed } from './pre-tokenize.js';
import { TokenIdError } from './tokenizer.errors.js';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.js';
import { writeTokenizerFiles } from './tokenizer-files.js';

/** Pieces longer than this are not cached: they are rarely seen twice. */
const CACHED_PIECE_CHARS = 32;
/** Entries kept before the cache starts anew: a few MB, and natural text has about this many frequent words. */
const CACHE_ENTRIES = 1 << 16;

/**
 * Byte-level BPE as GPT-2, Llama 3 and SmolLM have it: any text encodes, and decoding the ids gives the text back. Bytes
 * that the vocabulary has no token for are left out, as Hugging Face's tokenizers does; only vocabularies made elsewhere lack any.
 */
export class BpeTokenizer implements Tokenizer {
  readonly vocabulary: BpeVocabulary;
  readonly vocabSize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  private readonly bytesOf: readonly Uint8Array[];
  /** -1 for a byte without a token. */
  private readonly idOfByte: Int32Array;
  private readonly hasEveryByte: boolean;
  /** Ids of whole pieces by their byte characters; null where merges make all of them. */
  private readonly idOfPiece: ReadonlyMap<string, number> | null;
  private readonly idOfSpecial: ReadonlyMap<string, number>;
  private readonly specialPattern: RegExp | null;
  private readonly table: MergeTable;
  private readonly cache = new Map<string, Int32Array>();
  private readonly encoder = new TextEncoder();

  /** @param vocabulary consistent: every merge joins two tokens into a third (as trainers and `readTokenizer` ensure) */
  constructor(vocabulary: BpeVocabulary) {
    this.vocabulary = vocabulary;
    this.vocabSize = vocabulary.tokens.length;
    const specials = new Set(vocabulary.specialTokens);
    const idOf = new Map(vocabulary.tokens.map((token, id) => [token, id]));
    this.idOfSpecial = new Map(vocabulary.specialTokens.map((token) => [token, idOf.get(token) ?? -1]));
    const idOrNull = (token: string | null) =>
      token === null ? null : (this.idOfSpecial.get(token) ?? null);
    this.bosId = idOrNull(vocabulary.bosToken);
    this.eosId = idOrNull(vocabulary.eosToken);
    this.bytesOf = vocabulary.tokens.map((token) =>
      specials.has(token) ? new Uint8Array(0) : (charsToBytes(token) ?? new Uint8Array(0)),
    );
    this.idOfByte = Int32Array.from(
      { length: 256 },
      (_, byte) => idOf.get(bytesToChars(Uint8Array.of(byte))) ?? -1,
    );
    this.hasEveryByte = !this.idOfByte.includes(-1);
    // Text is only text: a piece that is spelt like a special token is not that token.
    for (const token of specials) idOf.delete(token);
    this.idOfPiece = vocabulary.ignoreMerges ? idOf : null;
    this.specialPattern = specials.size === 0 ? null : longestFirst(vocabulary.specialTokens);
    this.table = new MergeTable(vocabulary.merges);
  }

  encode(text: string, { parseSpecial = false }: EncodeOptions = {}): Int32Array {
    const ids = new IdBuffer();
    const clean = wellFormed(text);
    if (!parseSpecial || this.specialPattern === null) {
      this.encodePlain(clean, ids);
    } else {
      for (const part of clean.split(this.specialPattern)) {
        const special = this.idOfSpecial.get(part);
        if (special === undefined) this.encodePlain(part, ids);
        else ids.append(Int32Array.of(special));
      }
    }
    return ids.take();
  }

  decode(ids: ArrayLike<number>, { skipSpecial = false }: DecodeOptions = {}): string {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? -1;
      const bytes = this.bytes(id);
      const isSpecial = bytes.length === 0;
      if (!isSpecial) parts.push(bytes);
      else if (!skipSpecial) parts.push(this.encoder.encode(this.vocabulary.tokens[id]));
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts));
  }

  tokenBytes(id: number): Uint8Array {
    return this.bytes(id).slice();
  }

  tokenByteLength(id: number): number {
    return this.bytes(id).length;
  }

  files(): Map<string, Uint8Array> {
    return writeTokenizerFiles(this.vocabulary);
  }

  private bytes(id: number): Uint8Array {
    const bytes = this.bytesOf[id];
    if (bytes === undefined) throw new TokenIdError(id, this.vocabSize);
    return bytes;
  }

  private encodePlain(text: string, ids: IdBuffer): void {
    for (const piece of preTokenize(text, this.vocabulary.preTokenizer)) {
      let pieceIds = this.cache.get(piece);
      if (pieceIds === undefined) {
        pieceIds = this.encodePiece(piece);
        if (piece.length <= CACHED_PIECE_CHARS) {
          if (this.cache.size >= CACHE_ENTRIES) this.cache.clear();
          this.cache.set(piece, pieceIds);
        }
      }
      ids.append(pieceIds);
    }
  }

  private encodePiece(piece: string): Int32Array {
    const bytes = this.encoder.encode(piece);
    const whole = this.idOfPiece?.get(bytesToChars(bytes));
    if (whole !== undefined) return Int32Array.of(whole);
    const symbols = Int32Array.from(bytes, (byte) => this.idOfByte[byte] ?? -1);
    return this.table.apply(this.hasEveryByte ? symbols : symbols.filter((id) => id >= 0));
  }
}

/** Ids in a buffer that doubles when full: a long text has too many for a list of numbers. */
class IdBuffer {
  private ids = new Int32Array(64);
  private length = 0;

  append(more: Int32Array): void {
    const length = this.length + more.length;
    if (length > this.ids.length) {
      const grown = new Int32Array(Math.max(length, 2 * this.ids.length));
      grown.set(this.ids.subarray(0, this.length));
      this.ids = grown;
    }
    // Most pieces are a few ids, for which a loop beats set().
    for (let i = 0; i < more.length; i++) this.ids[this.length + i] = more[i] ?? 0;
    this.length = length;
  }

  take(): Int32Array {
    return this.ids.slice(0, this.length);
  }
}

/** A splitting pattern that keeps the special tokens and prefers the longest at a place, as Hugging Face does. */
function longestFirst(specialTokens: readonly string[]): RegExp {
  const alternatives = [...specialTokens]
    .sort((a, b) => b.length - a.length)
    .map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  return new RegExp(`(${alternatives.join('|')})`, 'u');
}
