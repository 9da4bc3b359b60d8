import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isMissing } from './disk-errors.js';

/** Names: host, process, random. */
const NAME = /^([0-9a-f]{8})-(\d+)-[0-9a-f-]{36}$/;
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
/** A file of a dead process is left alone for this long: process ids are per container, hosts may share a name. */
const DEAD_GRACE_MS = 60_000;

/** A file that is being written and has no name in the store yet. */
export interface TempFile {
  readonly path: string;
  readonly handle: FileHandle;
}

/** Opens a new file of this process. */
export async function createTempFile(folder: string): Promise<TempFile> {
  const path = join(folder, `${HOST}-${process.pid}-${randomUUID()}`);
  try {
    return { path, handle: await open(path, 'wx') };
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(folder, { recursive: true });
    return { path, handle: await open(path, 'wx') };
  }
}

/**
 * Removes what crashed processes left: files of a process that is gone, and any that nobody wrote to for a long
 * time. A writer that is alive keeps its file.
 * @param staleMs  age since the last write at which a file counts as left behind, whoever made it
 * @returns number of files removed
 */
export async function removeStaleTempFiles(folder: string, staleMs: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder)) {
    const match = NAME.exec(name);
    if (!match) continue;
    const path = join(folder, name);
    const modified = await stat(path).catch(() => undefined);
    if (!modified) continue;
    const ageMs = Date.now() - modified.mtimeMs;
    const isOrphan = match[1] === HOST && ageMs > DEAD_GRACE_MS && !isAlive(Number(match[2]));
    if (!isOrphan && ageMs <= staleMs) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
