import { AppError } from '@agentforge/errors';
import type { FileSource } from '@agentforge/model';

/** A file that is read as a stream. */
export interface StreamedFile {
  readonly sizeBytes: number;
  open(): AsyncIterable<Uint8Array>;
}

/** Where a stream stands. */
interface Cursor {
  readonly chunks: AsyncIterator<Uint8Array>;
  position: number;
  rest: Uint8Array;
}

/**
 * Random access over streams, made for reading from front to back: a range at or after the last one goes on with the
 * same stream, an earlier one starts again. Memory holds one chunk and what is asked for.
 */
export class StreamSource implements FileSource {
  readonly #cursors = new Map<string, Cursor>();

  constructor(private readonly files: ReadonlyMap<string, StreamedFile>) {}

  async size(path: string): Promise<number | null> {
    return this.files.get(path)?.sizeBytes ?? null;
  }

  async read(path: string, start = 0, end?: number): Promise<Uint8Array> {
    const file = this.files.get(path);
    if (file === undefined)
      throw new AppError('NOT_FOUND', `the model has no file "${path}"`, { reason: 'FILE_NOT_FOUND' });
    const stop = Math.min(end ?? file.sizeBytes, file.sizeBytes);
    const cursor = this.#cursorAt(path, file, start);
    const bytes = new Uint8Array(Math.max(0, stop - start));
    let filled = 0;
    while (filled < bytes.length) {
      if (cursor.rest.length === 0 && !(await advance(cursor))) break;
      const skip = Math.min(start + filled - cursor.position, cursor.rest.length);
      const take = Math.min(cursor.rest.length - skip, bytes.length - filled);
      bytes.set(cursor.rest.subarray(skip, skip + take), filled);
      cursor.rest = cursor.rest.subarray(skip + take);
      cursor.position += skip + take;
      filled += take;
    }
    return bytes.subarray(0, filled);
  }

  /** Ends the streams that are open. */
  async close(): Promise<void> {
    for (const { chunks } of this.#cursors.values()) await chunks.return?.();
    this.#cursors.clear();
  }

  #cursorAt(path: string, file: StreamedFile, start: number): Cursor {
    const open = this.#cursors.get(path);
    if (open !== undefined && open.position <= start) return open;
    void open?.chunks.return?.();
    const cursor = { chunks: file.open()[Symbol.asyncIterator](), position: 0, rest: new Uint8Array(0) };
    this.#cursors.set(path, cursor);
    return cursor;
  }
}

async function advance(cursor: Cursor): Promise<boolean> {
  const next = await cursor.chunks.next();
  if (next.done) return false;
  cursor.rest = next.value;
  return true;
}
