import { createHash } from 'node:crypto';
import type { FieldViolation } from '@agentforge/errors';
import { CorpusTooLargeError, EmptyCorpusError, UnreadableCorpusError } from './corpus.errors.js';

/** One text of a corpus. */
export interface CorpusDocument {
  /** File name, with `#line` for a line of a JSONL file. */
  readonly name: string;
  readonly text: string;
}

/** Text to train on, checked and without repeated documents. */
export interface Corpus {
  /** In the order of file names; repeated texts only once. */
  readonly documents: readonly CorpusDocument[];
  /** UTF-8 bytes of all documents. */
  readonly sizeBytes: number;
  /** SHA-256 over the texts in order, hexadecimal. */
  readonly digest: string;
  /** Documents left out because their text occurred before. */
  readonly duplicatesDropped: number;
}

/** A file as bytes. */
export interface CorpusFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Settings of `readCorpus` and `corpusFromBytes`. */
export interface CorpusOptions {
  /** Field of a JSONL record that holds its text. Default `text`. */
  readonly textField?: string;
  /** Refuse more than this many bytes. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Called per file; throw from it to stop. */
  readonly checkCancelled?: () => void;
}

/** Endings of the files that are read. */
export const CORPUS_EXTENSIONS: readonly string[] = ['.txt', '.md', '.markdown', '.jsonl'];

/** Default limit: all of it is held in memory, as bytes, text (at most 512 MiB in one string) and tokens. */
export const MAX_CORPUS_BYTES: number = 2 ** 28;

/**
 * A corpus from files in memory; one JSONL line is one document, any other file is one.
 * @throws UnreadableCorpusError  INVALID_ARGUMENT: every binary, non-UTF-8 or malformed file
 * @throws EmptyCorpusError       INVALID_ARGUMENT: no text at all
 * @throws CorpusTooLargeError    INVALID_ARGUMENT
 */
export function corpusFromBytes(files: Iterable<CorpusFile>, options: CorpusOptions = {}): Corpus {
  const { textField = 'text', maxBytes = MAX_CORPUS_BYTES, checkCancelled } = options;
  const ordered = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  const total = ordered.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (total > maxBytes) throw new CorpusTooLargeError(total, maxBytes);
  const violations: FieldViolation[] = [];
  const found: CorpusDocument[] = [];
  for (const file of ordered) {
    checkCancelled?.();
    const text = decodeText(file, violations);
    if (text === null) continue;
    if (file.name.toLowerCase().endsWith('.jsonl'))
      found.push(...parseJsonLines(file.name, text, textField, violations));
    else found.push({ name: file.name, text });
  }
  if (violations.length > 0) throw new UnreadableCorpusError(violations);
  return collect(found, ordered.length);
}

/** UTF-8 text of a file; null, with a violation, when it is not text. */
function decodeText({ name, bytes }: CorpusFile, violations: FieldViolation[]): string | null {
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    violations.push({ field: name, description: `is binary: byte ${zero} of ${bytes.length} is zero` });
    return null;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    violations.push({ field: name, description: `is not UTF-8 text (${bytes.length} bytes)` });
    return null;
  }
}

function parseJsonLines(
  name: string,
  text: string,
  textField: string,
  violations: FieldViolation[],
): CorpusDocument[] {
  const documents: CorpusDocument[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const field = `${name}:${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      violations.push({
        field,
        description: `is not JSON (${error instanceof Error ? error.message : error})`,
      });
      return;
    }
    const content =
      typeof value === 'string' ? value : (value as Record<string, unknown> | null)?.[textField];
    if (typeof content === 'string') documents.push({ name: `${name}#${index + 1}`, text: content });
    else
      violations.push({
        field,
        description: `is neither a string nor has a string ${JSON.stringify(textField)}`,
      });
  });
  return documents;
}

function collect(found: readonly CorpusDocument[], files: number): Corpus {
  const digest = createHash('sha256');
  const seen = new Set<string>();
  const documents: CorpusDocument[] = [];
  let sizeBytes = 0;
  let duplicatesDropped = 0;
  for (const document of found) {
    if (document.text.trim() === '') continue;
    const textDigest = createHash('sha256').update(document.text).digest('hex');
    if (seen.has(textDigest)) {
      duplicatesDropped++;
      continue;
    }
    seen.add(textDigest);
    documents.push(document);
    sizeBytes += Buffer.byteLength(document.text);
    digest.update(textDigest);
  }
  if (documents.length === 0) throw new EmptyCorpusError(files, CORPUS_EXTENSIONS);
  return { documents, sizeBytes, digest: digest.digest('hex'), duplicatesDropped };
}
