import { open, stat } from 'node:fs/promises';
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
}

/** Files of a folder. Paths are relative to it. */
export function directorySource(directory: string): FileSource {
  const size = async (path: string): Promise<number | null> => {
    try {
      const { size: sizeBytes } = await stat(join(directory, path));
      return sizeBytes;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };
  const read = async (path: string, start = 0, end?: number): Promise<Uint8Array> => {
    const available = await size(path);
    if (available === null) throw new ModelFileMissingError(path, directory);
    const file = await open(join(directory, path), 'r');
    try {
      const bytes = new Uint8Array(Math.max(0, Math.min(end ?? available, available) - start));
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
        if (bytesRead === 0) return bytes.subarray(0, done);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  };
  const readInto = async (path: string, start: number, target: Uint8Array): Promise<number> => {
    const file = await open(join(directory, path), 'r').catch((error: unknown) => {
      throw isMissing(error) ? new ModelFileMissingError(path, directory) : error;
    });
    try {
      let done = 0;
      while (done < target.length) {
        const { bytesRead } = await file.read(target, done, target.length - done, start + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    } finally {
      await file.close();
    }
  };
  return { read, readInto, size };
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
