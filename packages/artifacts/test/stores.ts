import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderArtifactStore, type FolderStoreOptions } from '../src/index.js';

/** A temporary folder with a store in it. */
export async function tempStore(options: Omit<FolderStoreOptions, 'directory'> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'forge-artifacts-'));
  const store = await FolderArtifactStore.open({ directory, ...options });
  return {
    directory,
    store,
    pathOf: (digest: string) => join(directory, 'sha256', digest.slice(7, 9), digest.slice(9)),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Bytes in chunks. */
export async function* chunks(
  ...parts: (string | Uint8Array)[]
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}
