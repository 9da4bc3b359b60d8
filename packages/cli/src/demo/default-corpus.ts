import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { type Corpus, corpusFromBytes } from '@agentforge/model';

/** Enough text for a pico model and little enough to read in a moment. */
const WANTED_BYTES = 1_200_000;
/** Files outside these bounds are stubs or lists. */
const FILE_BYTES = { min: 1_000, max: 60_000 };
/** Change logs and licences repeat themselves; a model that learns them has learned little. */
const NOT_PROSE = /^(change|history|release|license|licence|code_of_conduct|security|upgrad)/i;
/** Largest share of characters outside ASCII: translations would be a second language in a small corpus. */
const MAX_FOREIGN_SHARE = 0.02;

/**
 * The documentation of the installed dependencies: Markdown below node_modules, repeated texts once, about 1.2 MB. The
 * files are taken in the order of their content's digest, so the same dependencies give the same text anywhere.
 */
export function defaultCorpus(root: string): Corpus {
  const store = join(root, 'node_modules', '.pnpm');
  const byDigest = new Map<string, { name: string; bytes: Buffer }>();
  for (const file of markdownBelow(store)) {
    const { size } = statSync(file);
    if (size < FILE_BYTES.min || size > FILE_BYTES.max) continue;
    const bytes = readFileSync(file);
    if (bytes.includes(0) || foreignShare(bytes) > MAX_FOREIGN_SHARE) continue;
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (!byDigest.has(digest))
      byDigest.set(digest, { name: relative(root, file).split(sep).join('/'), bytes });
  }
  const taken: { name: string; bytes: Buffer }[] = [];
  let total = 0;
  for (const [digest, { bytes }] of [...byDigest].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (total + bytes.length > WANTED_BYTES) break;
    taken.push({ name: digest, bytes });
    total += bytes.length;
  }
  return corpusFromBytes(taken);
}

function markdownBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(md|markdown)$/i.test(entry.name) && !NOT_PROSE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function foreignShare(bytes: Buffer): number {
  let foreign = 0;
  for (const byte of bytes) if (byte >= 0x80) foreign++;
  return foreign / bytes.length;
}
