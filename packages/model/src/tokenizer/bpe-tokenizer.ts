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

/** Byte-level BPE as GPT-2 has it: any text encodes, and decoding the ids gives the text back. */
export class BpeTokenizer implements Tokenizer {
  readonly vocabulary: BpeVocabulary;
  readonly vocabSize: number;
  readonly eosId: number | null;
  private readonly bytesOf: readonly Uint8Array[];
  private readonly idOfByte: Int32Array;
  private readonly idOfSpecial: ReadonlyMap<string, number>;
  private readonly specialPattern: RegExp | null;
  private readonly table: MergeTable;
  private readonly cache = new Map<string, Int32Array>();
  private readonly encoder = new TextEncoder();

  /** @param vocabulary consistent: every byte and merge result has a token (as trainers and `readTokenizerJson` ensure) */
  constructor(vocabulary: BpeVocabulary) {
    this.vocabulary = vocabulary;
    this.vocabSize = vocabulary.tokens.length;
    const specials = new Set(vocabulary.specialTokens);
    const idOf = new Map(vocabulary.tokens.map((token, id) => [token, id]));
    this.idOfSpecial = new Map(vocabulary.specialTokens.map((token) => [token, idOf.get(token) ?? -1]));
    this.eosId = vocabulary.eosToken === null ? null : (this.idOfSpecial.get(vocabulary.eosToken) ?? null);
    this.bytesOf = vocabulary.tokens.map((token) =>
      specials.has(token) ? new Uint8Array(0) : (charsToBytes(token) ?? new Uint8Array(0)),
    );
    this.idOfByte = Int32Array.from(
      { length: 256 },
      (_, byte) => idOf.get(bytesToChars(Uint8Array.of(byte))) ?? 0,
    );
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
    for (const piece of preTokenize(text)) {
      let pieceIds = this.cache.get(piece);
      if (pieceIds === undefined) {
        const bytes = this.encoder.encode(piece);
        pieceIds = this.table.apply(Int32Array.from(bytes, (byte) => this.idOfByte[byte] ?? 0));
        if (piece.length <= CACHED_PIECE_CHARS) {
          if (this.cache.size >= CACHE_ENTRIES) this.cache.clear();
          this.cache.set(piece, pieceIds);
        }
      }
      ids.append(pieceIds);
    }
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
