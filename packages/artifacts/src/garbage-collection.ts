import { link, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '@agentforge/contracts';
import type { Collection, CollectOptions, StoredBlob } from './artifact-store.js';
import { hexOf, parseDigest } from './digest.js';
import { codeOf, isMissing } from './disk-errors.js';

/** How file systems say that they have no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Where a store keeps content and what it is deciding about. */
export interface CollectedFiles {
  readonly trash: string;
  pathOf(digest: string): string;
}

/**
 * The digests that live ones need: themselves, and the files of those that are manifests.
 * @param manifestOf  the manifest stored under a digest; undefined when it is none, or nothing is stored
 */
export async function markLive(
  live: Iterable<string> | AsyncIterable<string>,
  manifestOf: (digest: string) => Promise<Manifest | undefined>,
): Promise<ReadonlySet<string>> {
  const needed = new Set<string>();
  const visited = new Set<string>();
  for await (const digest of live) {
    if (visited.has(parseDigest(digest))) continue;
    visited.add(digest);
    needed.add(digest);
    const manifest = await manifestOf(digest);
    for (const file of manifest?.files ?? []) needed.add(file.digest);
  }
  return needed;
}

/** Removes content that is old and not needed. Content that is stored again meanwhile survives. */
export async function sweep(
  blobs: AsyncIterable<StoredBlob>,
  needed: ReadonlySet<string>,
  files: CollectedFiles,
  { minAgeMs, dryRun = false }: CollectOptions,
): Promise<Collection> {
  const youngest = Date.now() - minAgeMs;
  const total = { removed: 0, removedBytes: 0n, kept: 0, keptBytes: 0n };
  for await (const { digest, sizeBytes, createTime } of blobs) {
    const isOld = createTime.getTime() < youngest;
    const isGarbage = isOld && !needed.has(digest);
    if (isGarbage && (dryRun || (await removeIfOld(files, digest, youngest)))) {
      total.removed++;
      total.removedBytes += BigInt(sizeBytes);
    } else {
      total.kept++;
      total.keptBytes += BigInt(sizeBytes);
    }
  }
  return total;
}

/**
 * Moves content aside, looks at its age again, and removes it or moves it back: whoever stored or refreshed it
 * in between wins.
 */
async function removeIfOld(files: CollectedFiles, digest: string, youngest: number): Promise<boolean> {
  const aside = join(files.trash, hexOf(digest));
  const path = files.pathOf(digest);
  try {
    await rename(path, aside);
    const { mtimeMs } = await stat(aside);
    if (mtimeMs >= youngest) {
      await putBack(aside, path);
      return false;
    }
    await rm(aside, { force: true });
    return true;
  } catch (error) {
    // another collection was faster
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Moves back what a crashed collection left aside; it is then judged like everything else. */
export async function emptyTrash(files: CollectedFiles): Promise<void> {
  for (const hex of await readdir(files.trash)) {
    if (!/^[0-9a-f]{64}$/.test(hex)) continue;
    await putBack(join(files.trash, hex), files.pathOf(`sha256:${hex}`));
  }
}

async function putBack(aside: string, path: string): Promise<void> {
  try {
    await link(aside, path);
  } catch (error) {
    const code = codeOf(error);
    if (NO_LINKS.has(code)) {
      // without links it may replace what was stored again meanwhile: the same bytes, so only the age matters
      await utimes(aside, new Date(), new Date());
      await rename(aside, path);
    } else if (code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
  await rm(aside, { force: true });
}
