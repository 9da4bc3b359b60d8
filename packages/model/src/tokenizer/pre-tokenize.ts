/**
 * GPT-2's pre-tokenisation pattern. White space is Unicode's `White_Space` property, as in the Rust
 * implementation; JavaScript's own `\s` differs from it (U+0085, U+FEFF).
 */
const GPT2_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Splits text into the pieces that byte-pair merges never cross. Concatenating them gives the text back. */
export function* preTokenize(text: string): Generator<string> {
  for (const match of text.matchAll(GPT2_PATTERN)) yield match[0];
}

/**
 * Adds the pieces of `text` to `counts`. Same pieces as `preTokenize`, without an iterator per piece.
 */
export function countPieces(text: string, counts: Map<string, number>): void {
  const pattern = new RegExp(GPT2_PATTERN);
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const piece = match[0];
    counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
}

/** The text with lone surrogates, which UTF-8 cannot say, replaced by U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD');
}
