import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import { CorpusNotFoundError, CorpusTooLargeError } from './corpus.errors.js';
import {
  CORPUS_EXTENSIONS,
  type Corpus,
  type CorpusFile,
  type CorpusOptions,
  corpusFromBytes,
  MAX_CORPUS_BYTES,
} from './corpus.js';

/**
 * Reads a corpus from files and folders. Of a folder, at any depth, the `CORPUS_EXTENSIONS`; symbolic links and
 * dot-files in it are left out. A file named itself is read whatever its ending.
 * @param paths  at least one
 * @throws CorpusNotFoundError  NOT_FOUND, and what `corpusFromBytes` throws
 */
export async function readCorpus(paths: readonly string[], options: CorpusOptions = {}): Promise<Corpus> {
  const { maxBytes = MAX_CORPUS_BYTES, checkCancelled } = options;
  const files: CorpusFile[] = [];
  let total = 0;
  for (const path of paths) {
    for (const { file, name } of await listFiles(path)) {
      checkCancelled?.();
      total += (await stat(file)).size;
      if (total > maxBytes) throw new CorpusTooLargeError(total, maxBytes);
      files.push({ name, bytes: await readFile(file) });
    }
  }
  return corpusFromBytes(files, options);
}

async function listFiles(path: string): Promise<{ file: string; name: string }[]> {
  const kind = await stat(path).catch(() => {
    throw new CorpusNotFoundError(path);
  });
  if (!kind.isDirectory()) return [{ file: path, name: path }];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && CORPUS_EXTENSIONS.includes(extname(entry.name).toLowerCase()))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ file, name: join(path, relative(path, file)) }))
    .filter(
      ({ file }) =>
        !relative(path, file)
          .split(/[\\/]/)
          .some((part) => part.startsWith('.')),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
