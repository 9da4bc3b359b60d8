import type { Finding } from './verdict.js';

/** What reading a corpus showed. */
export interface CorpusInspection {
  readonly problems: readonly Finding[];
  readonly sizeBytes: number;
}

/**
 * Reads a corpus once: it is not empty, has something besides blanks, is UTF-8, and has no NUL byte, which no text has.
 * Memory holds one chunk.
 */
export async function inspectCorpus(chunks: AsyncIterable<Uint8Array>): Promise<CorpusInspection> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let sizeBytes = 0;
  let hasText = false;
  const problem = (description: string): CorpusInspection => ({
    problems: [{ field: '', description }],
    sizeBytes,
  });
  for await (const chunk of chunks) {
    const nul = chunk.indexOf(0);
    if (nul >= 0) return problem(`is not text: byte ${sizeBytes + nul} is NUL`);
    try {
      const text = decoder.decode(chunk, { stream: true });
      hasText ||= text.trim() !== '';
    } catch {
      return problem(`is not UTF-8: invalid bytes at or after byte ${sizeBytes}`);
    }
    sizeBytes += chunk.length;
  }
  try {
    decoder.decode();
  } catch {
    return problem('is not UTF-8: it ends in the middle of a character');
  }
  if (sizeBytes === 0) return problem('is empty');
  return hasText ? { problems: [], sizeBytes } : problem('has nothing but blanks');
}
