/**
 * GPT-2's map between the 256 byte values and printable characters, which lets a byte-level vocabulary be
 * written as JSON strings. Printable Latin-1 bytes map to themselves, the other 68 to U+0100 … U+0143.
 * @see Radford et al. 2019, `bytes_to_unicode` of the GPT-2 release
 */
const PRINTABLE_RANGES: readonly (readonly [number, number])[] = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
];

function isPrintable(byte: number): boolean {
  return PRINTABLE_RANGES.some(([low, high]) => byte >= low && byte <= high);
}

/** Character of each byte value, indexed by byte. */
export const BYTE_TO_CHAR: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
})();

const CHAR_TO_BYTE: ReadonlyMap<string, number> = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

/**
 * The 256 byte values in the order of their characters' code points: the order in which Hugging Face's trainer
 * numbers the initial alphabet.
 */
export const ALPHABET_ORDER: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).sort(
  (a, b) => (BYTE_TO_CHAR[a] ?? '').charCodeAt(0) - (BYTE_TO_CHAR[b] ?? '').charCodeAt(0),
);

/** Bytes as a string of mapped characters, one per byte. */
export function bytesToChars(bytes: Uint8Array): string {
  let chars = '';
  for (const byte of bytes) chars += BYTE_TO_CHAR[byte] ?? '';
  return chars;
}

/** The bytes a string of mapped characters stands for, or null when a character is outside the map. */
export function charsToBytes(chars: string): Uint8Array | null {
  const bytes = new Uint8Array(chars.length);
  for (let i = 0; i < chars.length; i++) {
    const byte = CHAR_TO_BYTE.get(chars[i] ?? '');
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
