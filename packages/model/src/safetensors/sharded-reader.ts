import type { FieldViolation } from '@agentforge/errors';
import { z } from 'zod';
import type { FileSource } from '../files/file-source.js';
import { ModelFileMissingError, TensorNotFoundError } from '../files/files.errors.js';
import type { TensorInfo } from './header.js';
import { duplicateKeys } from './json-duplicates.js';
import { openSafetensors, type SafetensorsReader } from './reader.js';
import { InvalidSafetensorsError } from './safetensors.errors.js';
import type { StoredTensor, TensorReader } from './tensor-reader.js';

/** File that says in which file each tensor of a large checkpoint is. */
export const WEIGHTS_INDEX_FILE = 'model.safetensors.index.json';

/** An index above this is no index: a checkpoint with a million tensors has less. */
const MAX_INDEX_BYTES = 1 << 28;
/** Most files of a checkpoint; the largest published ones have some hundred. */
const MAX_SHARDS = 4096;

/** A plain file name: it cannot lead out of the folder. */
const shardName = z
  .string()
  .regex(/^[^/\\]+\.safetensors$/, 'must be the name of a .safetensors file in the same folder');

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), shardName) });

/** A checkpoint in several safetensors files. Memory holds their headers and what is asked for. */
export class ShardedReader implements TensorReader {
  readonly path: string;
  readonly names: readonly string[];
  private readonly shardOf: ReadonlyMap<string, SafetensorsReader>;

  /** Use `openSharded`. */
  constructor(path: string, shardOf: ReadonlyMap<string, SafetensorsReader>) {
    this.path = path;
    this.shardOf = shardOf;
    this.names = [...shardOf.keys()];
  }

  has(name: string): boolean {
    return this.shardOf.has(name);
  }

  info(name: string): TensorInfo {
    return this.shard(name).info(name);
  }

  place(name: string): StoredTensor {
    return this.shard(name).place(name);
  }

  readBytes(name: string): Promise<Uint8Array> {
    return this.shard(name).readBytes(name);
  }

  readF32(name: string): Promise<Float32Array> {
    return this.shard(name).readF32(name);
  }

  readF32Into(name: string, target: Float32Array): Promise<void> {
    return this.shard(name).readF32Into(name, target);
  }

  private shard(name: string): SafetensorsReader {
    const shard = this.shardOf.get(name);
    if (shard === undefined) throw new TensorNotFoundError(this.path, name);
    return shard;
  }
}

/**
 * Opens a checkpoint by its index and checks the header of every file, and that index and files agree on what is
 * where.
 * @throws ModelFileMissingError    NOT_FOUND: the index, or a file that it names
 * @throws InvalidSafetensorsError  INVALID_ARGUMENT: every tensor that is missing, unlisted or in two files
 */
export async function openSharded(
  source: FileSource,
  indexPath: string = WEIGHTS_INDEX_FILE,
): Promise<ShardedReader> {
  const weightMap = await readIndex(source, indexPath);
  const files = [...new Set(weightMap.values())].sort();
  if (files.length > MAX_SHARDS) {
    throw new InvalidSafetensorsError(indexPath, [
      { field: 'weight_map', description: `names ${files.length} files; the limit is ${MAX_SHARDS}` },
    ]);
  }
  const shards = new Map<string, SafetensorsReader>();
  for (const file of files) shards.set(file, await openSafetensors(source, file));
  const violations: FieldViolation[] = [];
  for (const [file, shard] of shards) {
    for (const name of shard.names) {
      const listed = weightMap.get(name);
      if (listed === file) continue;
      const where = listed === undefined ? 'the index does not list it' : `the index says ${listed}`;
      violations.push({ field: name, description: `is in ${file}, but ${where}` });
    }
  }
  const shardOf = new Map<string, SafetensorsReader>();
  for (const [name, file] of weightMap) {
    const shard = shards.get(file);
    if (shard?.has(name)) shardOf.set(name, shard);
    else violations.push({ field: name, description: `is not in ${file}, where the index says it is` });
  }
  if (violations.length > 0) throw new InvalidSafetensorsError(indexPath, violations);
  return new ShardedReader(indexPath, shardOf);
}

async function readIndex(source: FileSource, path: string): Promise<Map<string, string>> {
  const sizeBytes = await source.size(path);
  if (sizeBytes === null) throw new ModelFileMissingError(path, 'the model');
  const fail = (field: string, description: string): never => {
    throw new InvalidSafetensorsError(path, [{ field, description }]);
  };
  if (sizeBytes > MAX_INDEX_BYTES) fail('', `has ${sizeBytes} bytes; the limit is ${MAX_INDEX_BYTES}`);
  let text = '';
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await source.read(path));
    json = JSON.parse(text);
  } catch (error) {
    fail('', `is not JSON (${String(error)})`);
  }
  for (const key of duplicateKeys(text)) fail(key, 'key occurs twice');
  const result = indexSchema.safeParse(json);
  if (result.success) return new Map(Object.entries(result.data.weight_map));
  throw new InvalidSafetensorsError(
    path,
    result.error.issues.map(({ path: at, message }) => ({ field: at.join('.'), description: message })),
  );
}
