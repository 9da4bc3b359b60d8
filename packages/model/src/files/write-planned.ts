import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Where everything of a file of tensors will be, before any data are at hand. */
export interface FilePlan {
  /** The first bytes of the file. */
  readonly head: Uint8Array;
  /** Tensors in the order of the file, with absolute byte ranges. What is between them is zero. */
  readonly ranges: ReadonlyMap<string, { readonly begin: number; readonly end: number }>;
  readonly sizeBytes: number;
}

/**
 * Writes a planned file one tensor at a time: memory holds what `bytesOf` gives for one. The file appears complete
 * and on disk, or not at all; one that was there is replaced. Its folder is made when missing.
 * @param bytesOf  the bytes of a tensor, as many as its range has
 * @throws RangeError  `bytesOf` gave another number of bytes
 */
export async function writePlanned(
  path: string,
  plan: FilePlan,
  bytesOf: (name: string) => Promise<Uint8Array> | Uint8Array,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(draft, 'wx');
    try {
      await file.truncate(plan.sizeBytes);
      await writeAt(file, plan.head, 0);
      for (const [name, { begin, end }] of plan.ranges) {
        const bytes = await bytesOf(name);
        if (bytes.length !== end - begin) {
          throw new RangeError(`${name} has ${bytes.length} bytes, its place in the file ${end - begin}`);
        }
        await writeAt(file, bytes, begin);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
