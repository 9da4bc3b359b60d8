import { createHash } from 'node:crypto';
import type { Corpus, CorpusDocument } from './corpus.js';

/** Names of the disjoint parts: to learn from, to select by, to report on. */
export type SplitName = 'train' | 'fitness' | 'report';

/** One part of a corpus. */
export interface TextSplit {
  readonly name: SplitName;
  readonly documents: readonly string[];
  /** UTF-8 bytes of all documents. */
  readonly sizeBytes: number;
}

/** The three parts of a corpus; no character is in two of them. */
export type CorpusSplits = Readonly<Record<SplitName, TextSplit>>;

/** Settings of `splitCorpus`. */
export interface SplitOptions {
  /** Shares of the bytes; the rest is the report split. Default train 0.8, fitness 0.1. */
  readonly fractions?: { readonly train: number; readonly fitness: number };
  /** From this many documents on, they are ordered by digest before cutting. Default 20. */
  readonly minDocumentsToMix?: number;
}

/** A cut looks this many characters back for the end of a line: a few lines of text, noise in a split's size. */
const LINE_END_SEARCH_CHARS = 512;

/**
 * Cuts a corpus into train, fitness and report (the last tenth). Few documents are cut by position, so that the
 * report split is the end of the text. Many documents are first ordered by the digest of their text, which mixes
 * topics and does not depend on names or seeds. A document on a cut is divided there, after a line where possible.
 */
export function splitCorpus(corpus: Corpus, options: SplitOptions = {}): CorpusSplits {
  const { fractions = { train: 0.8, fitness: 0.1 }, minDocumentsToMix = 20 } = options;
  const ordered = corpus.documents.length >= minDocumentsToMix ? mixed(corpus.documents) : corpus.documents;
  const trainEnd = Math.floor(corpus.sizeBytes * fractions.train);
  const fitnessEnd = Math.floor(corpus.sizeBytes * (fractions.train + fractions.fitness));
  const parts: Record<SplitName, string[]> = { train: [], fitness: [], report: [] };
  let offset = 0;
  for (const { text } of ordered) {
    const bytes = Buffer.from(text);
    const first = cutPoint(bytes, trainEnd - offset);
    const second = Math.max(first, cutPoint(bytes, fitnessEnd - offset));
    if (first > 0) parts.train.push(bytes.toString('utf8', 0, first));
    if (second > first) parts.fitness.push(bytes.toString('utf8', first, second));
    if (second < bytes.length) parts.report.push(bytes.toString('utf8', second));
    offset += bytes.length;
  }
  return { train: part('train', parts), fitness: part('fitness', parts), report: part('report', parts) };
}

function mixed(documents: readonly CorpusDocument[]): readonly CorpusDocument[] {
  return documents
    .map((document) => ({ document, key: createHash('sha256').update(document.text).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ document }) => document);
}

/** Where to cut near `wanted`: after a line end shortly before it, at least between two characters. */
function cutPoint(bytes: Buffer, wanted: number): number {
  if (wanted <= 0) return 0;
  if (wanted >= bytes.length) return bytes.length;
  const lineEnd = bytes.lastIndexOf(0x0a, wanted - 1);
  if (lineEnd >= 0 && wanted - lineEnd <= LINE_END_SEARCH_CHARS) return lineEnd + 1;
  let at = wanted;
  // Continuation bytes of UTF-8 are 10xxxxxx: step back to the start of the character.
  while (at > 0 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at--;
  return at;
}

function part(name: SplitName, parts: Readonly<Record<SplitName, string[]>>): TextSplit {
  return splitOf(name, parts[name]);
}

/** A split from texts, with its size counted. */
export function splitOf(name: SplitName, documents: readonly string[]): TextSplit {
  return { name, documents, sizeBytes: documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0) };
}
