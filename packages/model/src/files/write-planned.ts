import { DraftFile } from './draft-file.js';
import type { FilePlan } from './file-plan.js';

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
  const draft = await DraftFile.create(path, plan);
  try {
    for (const [name, { begin, end }] of plan.ranges) {
      const bytes = await bytesOf(name);
      if (bytes.length !== end - begin) {
        throw new RangeError(`${name} has ${bytes.length} bytes, its place in the file ${end - begin}`);
      }
      await draft.write(name, bytes);
    }
    await draft.finish();
  } finally {
    await draft.discard();
  }
}
