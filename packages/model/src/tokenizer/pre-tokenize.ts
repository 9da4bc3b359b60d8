/**
 * GPT-2's pre-tokenisation pattern. White space is Unicode's `White_Space` property, as in the Rust
 * implementation; JavaScript's own `\s` differs from it (U+0085, U+FEFF).
 */
const GPT2_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/**
 * SmolLM's: every digit alone, and GPT-2's pattern on what is between digits, where white space before a digit is at
 * the end of its text.
 */
const SMOLLM_PATTERN =
  /\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?![^\p{White_Space}\p{N}])|\p{White_Space}+/gu;

/**
 * Llama 3's. Contractions match without regard to case, which is written out because not every engine has `(?i:…)`;
 * U+017F, the long s, is an s then.
 */
const LLAMA3_PATTERN =
  /'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}*[\r\n]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Whose way of cutting text into pieces. */
export type PreTokenizer = 'gpt2' | 'llama3' | 'smollm';

const PATTERNS: Readonly<Record<PreTokenizer, RegExp>> = {
  gpt2: GPT2_PATTERN,
  llama3: LLAMA3_PATTERN,
  smollm: SMOLLM_PATTERN,
};

/** Splits text into the pieces that byte-pair merges never cross. Concatenating them gives the text back. */
export function* preTokenize(text: string, preTokenizer: PreTokenizer = 'gpt2'): Generator<string> {
  for (const match of text.matchAll(PATTERNS[preTokenizer])) yield match[0];
}

/**
 * Adds the pieces of `text` to `counts`. GPT-2's pieces, as `preTokenize` gives them, without an iterator per piece.
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
