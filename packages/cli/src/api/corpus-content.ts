import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Corpus, readCorpus } from '@agentforge/model';

/** A corpus as one artifact. */
export interface CorpusContent {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly mediaType: string;
  readonly documents: number;
}

/**
 * A file or folder of text as one blob: a single plain file as it is, everything else as JSON lines with one document
 * each, in the order of their names, repeated documents once. The same files give the same bytes.
 * @throws the errors of readCorpus: not found, empty, binary, malformed
 */
export async function corpusContent(path: string, checkCancelled?: () => void): Promise<CorpusContent> {
  const corpus = await readCorpus([path], checkCancelled ? { checkCancelled } : {});
  const isFile = (await stat(path)).isFile();
  return packCorpus(corpus, basename(path), isFile && !path.endsWith('.jsonl'));
}

/** A corpus as one blob: plain text when it is one plain document, otherwise JSON lines. */
export function packCorpus(corpus: Corpus, name: string, plain: boolean): CorpusContent {
  const [only] = corpus.documents;
  const documents = corpus.documents.length;
  if (plain && only && documents === 1) {
    return { bytes: Buffer.from(only.text), name, mediaType: 'text/plain', documents };
  }
  const lines = corpus.documents.map(({ text }) => `${JSON.stringify({ text })}\n`).join('');
  return { bytes: Buffer.from(lines), name, mediaType: 'application/jsonl', documents };
}
