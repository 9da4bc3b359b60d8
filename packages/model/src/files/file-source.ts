import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelFileMissingError } from './files.errors.js';

/** Where model files are read from: a folder, memory, or content-addressed blobs. */
export interface FileSource {
  /** Bytes `start` (default 0) to `end` (exclusive, default the size) of a file. Rejects with NOT_FOUND when there is none. */
  read(path: string, start?: number, end?: number): Promise<Uint8Array>;
  /**
   * Bytes from `start` into memory of the caller, as many as fit it and the file has: for readers of many parts, which
   * use their memory again. Absent where `read` costs no copy.
   * @returns  bytes that were read
   */
  readInto?(path: string, start: number, target: Uint8Array): Promise<number>;
  /** Size in bytes, or null when there is no such file. */
  size(path: string): Promise<number | null>;
  /**
   * The same files, for a reader that comes back to `path`: reading it throws `replaced()` when it is no longer the file that
   * is there now, or was written to, so that parts of two files are never taken for one. Absent where files stay as
   * they are.
   */
  pinned?(path: string, replaced: () => Error): Promise<FileSource>;
}

/** What is wrong with a file that a reader came back to; see {@link FileSource.pinned}. */
export const REPLACED = 'was replaced or written to while it was read';

/** A file of a folder as it was at some moment. */
interface Pin {
  readonly path: string;
  readonly found: BigIntStats;
  /** What reading another file in its place throws. */
  readonly replaced: () => Error;
}

/** Files of a folder. Paths are relative to it. */
export function directorySource(directory: string): FileSource {
  return folderSource(directory, null);
}

function folderSource(directory: string, pin: Pin | null): FileSource {
  const find = async (path: string): Promise<BigIntStats | null> => {
    try {
      return await stat(join(directory, path), { bigint: true });
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  const opened = async <T>(
    path: string,
    use: (file: FileHandle, available: number) => Promise<T>,
  ): Promise<T> => {
    const file = await open(join(directory, path), 'r').catch((error: unknown) => {
      throw isMissing(error) ? new ModelFileMissingError(path, directory) : error;
    });
    try {
      const found = await file.stat({ bigint: true });
      if (pin?.path === path && !isSame(pin.found, found)) throw pin.replaced();
      return await use(file, Number(found.size));
    } finally {
      await file.close();
    }
  };
  return {
    read: (path, start = 0, end) =>
      opened(path, async (file, available) => {
        const bytes = new Uint8Array(Math.max(0, Math.min(end ?? available, available) - start));
        return bytes.subarray(0, await fill(file, start, bytes));
      }),
    readInto: (path, start, target) => opened(path, (file) => fill(file, start, target)),
    async size(path) {
      const found = pin?.path === path ? pin.found : await find(path);
      return found === null ? null : Number(found.size);
    },
    async pinned(path, replaced) {
      const found = await find(path);
      return folderSource(directory, found && { path, found, replaced });
    },
  };
}

/** Reads from `start` until `target` is full or the file ends. @returns bytes that were read */
async function fill(file: FileHandle, start: number, target: Uint8Array): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await file.read(target, done, target.length - done, start + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Whether a file was neither exchanged for another nor written to. */
function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.mtimeNs === other.mtimeNs && one.size === other.size;
}

/** Files held in memory, by path. */
export function memorySource(files: ReadonlyMap<string, Uint8Array>): FileSource {
  return {
    async read(path, start = 0, end) {
      const bytes = files.get(path);
      if (bytes === undefined) throw new ModelFileMissingError(path, 'memory');
      return bytes.subarray(start, end);
    },
    async size(path) {
      return files.get(path)?.length ?? null;
    },
  };
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
