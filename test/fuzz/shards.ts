import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  directorySource,
  type FileSource,
  memorySource,
  openSharded,
  planSafetensors,
  type ShardedReader,
  WEIGHTS_INDEX_FILE,
} from '@agentforge/model';
import { prefetchWeights, readWeights, type StoredType, scope } from '@agentforge/tensor';
import { MAX_INPUT_BYTES } from './mutate.js';
import { countOf, expectSize, type FuzzTarget, outcome } from './readers.js';

/** Between the files of an input. */
const SEPARATOR = '\0-- next --\0';
const SHARDS = ['model-1.safetensors', 'model-2.safetensors'] as const;
/** Read as f32 by both readers. */
const FLOATS: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);

/**
 * A checkpoint in two files with its index, and how many bytes of the first are left once the headers were checked: as one input,
 * the first file in front, where a changed header has its length corrected.
 */
export const shards: FuzzTarget = {
  async seeds() {
    const first = filled(
      new Map([
        ['a', { dtype: 'F32', shape: [2, 3] }],
        ['b', { dtype: 'F16', shape: [5] }],
        ['c', { dtype: 'F64', shape: [2] }],
      ]),
    );
    const second = filled(
      new Map([
        ['d', { dtype: 'BF16', shape: [3] }],
        ['e', { dtype: 'U8', shape: [4] }],
        ['f', { dtype: 'F32', shape: [0, 4] }],
        ['g', { dtype: 'F32', shape: [] }],
      ]),
    );
    const map = Object.fromEntries(
      [...'abcdefg'].map((name) => [name, SHARDS['abc'.includes(name) ? 0 : 1]]),
    );
    const index = JSON.stringify({ metadata: { total_size: 80 }, weight_map: map });
    return [joined(first, second, index, '1000'), joined(first, second, index, '300')];
  },
  async read(input) {
    const [files, left] = split(input);
    const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
    try {
      for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
      const directory = directorySource(folder);
      const inMemory = await outcome(() => readAll(memorySource(files)));
      const onDisk = await outcome(() => readAll(directory));
      if (inMemory !== onDisk) throw new Error(`from memory: ${inMemory}; from a folder: ${onDisk}`);
      // A pinned reader refuses all of a file that was cut, the native core what is missing only.
      const { pinned: _, ...unpinned } = directory;
      const cut = await outcome(async () => {
        const reader = await openSharded(unpinned);
        const [name] = SHARDS;
        if (left < (files.get(name)?.length ?? 0)) truncateSync(join(folder, name), left);
        for (const tensor of reader.names) await readBoth(reader, tensor, folder);
        return 'all there';
      });
      return `${onDisk}, ${cut}`;
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Reads every tensor; what it came to, and a number that follows from all that was read. */
async function readAll(source: FileSource): Promise<string> {
  const reader = await openSharded(source);
  for (const name of reader.names) {
    const { dtype, shape } = reader.info(name);
    await reader.readBytes(name);
    if (FLOATS.has(dtype) || dtype === 'F64') expectSize(name, (await reader.readF32(name)).length, shape);
  }
  return countOf(reader.names);
}

/** A tensor by the reader and by the native core, which must read the same numbers, or both refuse. */
async function readBoth(reader: ShardedReader, name: string, folder: string): Promise<void> {
  const { dtype, shape } = reader.info(name);
  if (!FLOATS.has(dtype) || shape.length > 6) return;
  const { path, begin, end } = reader.place(name);
  const target = new Float32Array(shape.reduce((product, size) => product * size, 1));
  const byReader = await outcome(async () => {
    await reader.readF32Into(name, target);
    return 'read';
  });
  const file = openSync(join(folder, path), 'r');
  try {
    const byCore = await outcome(async () =>
      scope(() => {
        prefetchWeights({ file, position: begin }, end - begin);
        const values = readWeights({ file, position: begin }, dtype as StoredType, shape).toFloat32Array();
        const differs = values.findIndex((value, i) => !Object.is(value, target[i]));
        if (byReader === 'read' && differs !== -1) throw new Error(`${name}: element ${differs} differs`);
        return 'read';
      }),
    );
    if ((byReader === 'read') !== (byCore === 'read')) {
      throw new Error(`${name}: the reader: ${byReader}; the native core: ${byCore}`);
    }
    if (byReader !== 'read') await reader.readF32(name); // refuses it again, for the outcome
  } finally {
    closeSync(file);
  }
}

/** A file with numbers in it: the bytes count up. */
function filled(tensors: Parameters<typeof planSafetensors>[0]): Uint8Array {
  const { head, sizeBytes } = planSafetensors(tensors);
  const file = Uint8Array.from({ length: sizeBytes }, (_, i) => (i * 37) % 251);
  file.set(head);
  return file;
}

function joined(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const between = Buffer.from(SEPARATOR);
  return new Uint8Array(
    Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [Buffer.from(part)] : [between, Buffer.from(part)]))),
  );
}

/** The files of an input by name, and the number after them; what is not there any more is no file. */
function split(input: Uint8Array): [files: Map<string, Uint8Array>, left: number] {
  // One character per byte: text and bytes have the same positions.
  const [first, second, index, left] = Buffer.from(input).toString('latin1').split(SEPARATOR);
  const parts = Object.entries({ [SHARDS[0]]: first, [SHARDS[1]]: second, [WEIGHTS_INDEX_FILE]: index });
  const files = new Map<string, Uint8Array>();
  for (const [name, part] of parts) {
    if (part !== undefined) files.set(name, new Uint8Array(Buffer.from(part, 'latin1')));
  }
  return [files, Math.min(MAX_INPUT_BYTES, Math.max(0, Math.floor(Number(left ?? Number.NaN)) || 0))];
}
