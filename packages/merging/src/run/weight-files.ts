import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type FilePlan,
  planSafetensors,
  type TensorShape,
  WEIGHTS_FILE,
  WEIGHTS_INDEX_FILE,
} from '@agentforge/model';

/** A file of the result. */
export interface WeightFile {
  readonly path: string;
  readonly plan: FilePlan;
}

/**
 * Spreads tensors over files: `model.safetensors`, or `model-00001-of-00003.safetensors` … and an index, as transformers
 * names and reads them. Tensors keep the order that they have in one file.
 * @param maxShardBytes  most bytes of tensors per file; one that is larger has a file of its own
 */
export function planWeightFiles(
  tensors: ReadonlyMap<string, TensorShape>,
  folder: string,
  maxShardBytes: number,
): { readonly files: readonly WeightFile[]; readonly writeIndex: () => Promise<void> } {
  const whole = planSafetensors(tensors);
  const shards: Map<string, TensorShape>[] = [];
  let [room, totalBytes] = [0, 0];
  for (const [name, { begin, end }] of whole.ranges) {
    const bytes = end - begin;
    if (shards.length === 0 || (bytes > room && room < maxShardBytes)) {
      shards.push(new Map());
      room = maxShardBytes;
    }
    shards.at(-1)?.set(name, tensors.get(name) as TensorShape);
    room -= bytes;
    totalBytes += bytes;
  }
  if (shards.length <= 1) {
    return { files: [{ path: join(folder, WEIGHTS_FILE), plan: whole }], writeIndex: async () => undefined };
  }
  const nameOf = (i: number) =>
    `model-${String(i + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`;
  const index = {
    metadata: { total_size: totalBytes },
    weight_map: Object.fromEntries(
      shards.flatMap((shard, i) => [...shard.keys()].map((name) => [name, nameOf(i)])),
    ),
  };
  return {
    files: shards.map((shard, i) => ({ path: join(folder, nameOf(i)), plan: planSafetensors(shard) })),
    writeIndex: () => writeFile(join(folder, WEIGHTS_INDEX_FILE), `${JSON.stringify(index, null, 2)}\n`),
  };
}
