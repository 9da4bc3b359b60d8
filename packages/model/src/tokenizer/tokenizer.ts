/** How `Tokenizer.encode` treats text that looks like a special token. */
export interface EncodeOptions {
  /** Recognise special tokens such as `<|endoftext|>` in the text. Default false: text is only text. */
  readonly parseSpecial?: boolean;
}

/** How `Tokenizer.decode` treats special tokens. */
export interface DecodeOptions {
  /** Leave special tokens out. Default false. */
  readonly skipSpecial?: boolean;
}

/**
 * Text to token ids and back. Every tokenizer here works on UTF-8 bytes, so any text has an encoding; decoding gives the
 * text back when there is a token for each of its bytes, as there is in every vocabulary trained here.
 */
export interface Tokenizer {
  /** Number of ids; ids are 0 … vocabSize-1. */
  readonly vocabSize: number;
  /** Id of the token that goes before a prompt, or null when there is none. */
  readonly bosId: number | null;
  /** Id of the end-of-text token, or null when there is none. */
  readonly eosId: number | null;
  /** Ids of a text, of the text alone: no token is put before or after it. Lone surrogates encode as U+FFFD, as TextEncoder does. */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** Text of ids. Bytes that are not valid UTF-8 become U+FFFD. Throws TokenIdError on an id out of range. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** Bytes one token stands for; empty for a special token. Throws TokenIdError on an id out of range. */
  tokenBytes(id: number): Uint8Array;
  /** `tokenBytes(id).length`, without a copy. */
  tokenByteLength(id: number): number;
  /** Hugging Face files of this tokenizer, by file name. Same tokenizer, same bytes. */
  files(): Map<string, Uint8Array>;
}
