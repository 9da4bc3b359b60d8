import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { ArtifactRef, Manifest } from '@agentforge/contracts';
import { FolderNotEmptyError, InvalidManifestError } from './artifact.errors.js';
import { asStorageError } from './disk-errors.js';
import { assertManifestPath, type ManifestFileInit } from './manifest.js';

/** What these functions need of a store. */
interface Blobs {
  put(content: AsyncIterable<Uint8Array>, options: { signal?: AbortSignal }): Promise<ArtifactRef>;
  open(digest: string, options: { signal?: AbortSignal }): AsyncIterable<Uint8Array>;
}

/**
 * Stores all regular files under a folder.
 * @throws InvalidManifestError  INVALID_ARGUMENT: a symbolic link, a special file, or a path that breaks the rules
 */
export async function folderToManifest(
  store: Blobs,
  folder: string,
  signal?: AbortSignal,
): Promise<ManifestFileInit[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files: ManifestFileInit[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const full = join(entry.parentPath, entry.name);
    const path = relative(folder, full).split(sep).join('/');
    if (!entry.isFile()) throw new InvalidManifestError('files', `has ${path}, which is no regular file`);
    assertManifestPath(path, 'files');
    const { digest, sizeBytes } = await store.put(createReadStream(full), signal ? { signal } : {});
    files.push({ path, digest, sizeBytes });
  }
  return files;
}

/**
 * Writes a manifest's files below a folder that is empty or absent. They are written beside it first and
 * moved at the end: the folder has all files or none.
 * @throws FolderNotEmptyError  FAILED_PRECONDITION
 */
export async function materialiseManifest(
  store: Blobs,
  manifest: Manifest,
  folder: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const target = resolve(folder);
  await requireEmpty(target);
  const partial = join(dirname(target), `.${basename(target)}.${randomUUID()}.partial`);
  try {
    await mkdir(partial, { recursive: true });
    for (const { path, digest } of manifest.files) {
      assertManifestPath(path);
      const file = join(partial, ...path.split('/'));
      await mkdir(dirname(file), { recursive: true });
      await writeAll(await open(file, 'wx'), store.open(digest, signal ? { signal } : {}));
    }
    await rmdir(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTEMPTY') throw new FolderNotEmptyError(folder);
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw asStorageError(error);
  }
  return manifest.files.map(({ path }) => path);
}

async function writeAll(handle: FileHandle, content: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of content) await handle.writeFile(chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function requireEmpty(folder: string): Promise<void> {
  try {
    if ((await readdir(folder)).length > 0) throw new FolderNotEmptyError(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
