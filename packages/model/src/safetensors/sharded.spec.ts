import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Philox } from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { directorySource, type FileSource, memorySource } from '../files/file-source.js';
import { encodeModelFiles, loadModel, openWeights, saveModel, WEIGHTS_FILE } from '../files/model-files.js';
import { writePlanned } from '../files/write-planned.js';
import { LlamaModel } from '../llama/llama-model.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { openSharded, WEIGHTS_INDEX_FILE } from './sharded-reader.js';
import { encodeSafetensors, planSafetensors, writeSafetensors } from './writer.js';

/** A Llama of a few thousand weights. */
const smallModel = (): LlamaModel =>
  LlamaModel.init(
    presetConfig('pico', {
      vocabSize: 257,
      hiddenSize: 16,
      numLayers: 1,
      numHeads: 1,
      numKvHeads: 1,
      headDim: 8,
      intermediateSize: 24,
    }),
    new Philox(1),
  );

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const fileOf = (...names: string[]): Uint8Array =>
  encodeSafetensors(new Map(names.map((name, i) => [name, { shape: [1], data: Float32Array.of(i) }])));

const A = 'model-1.safetensors';
const B = 'model-2.safetensors';

/** Two files with tensors a, b and c, with some files or the map replaced. */
function shardedFiles(
  map: unknown = { a: A, b: A, c: B },
  changes: Record<string, Uint8Array> = {},
): FileSource {
  return memorySource(
    new Map([
      [A, fileOf('a', 'b')],
      [B, fileOf('c')],
      [WEIGHTS_INDEX_FILE, json({ metadata: { total_size: 12 }, weight_map: map })],
      ...Object.entries(changes),
    ]),
  );
}

describe('openSharded()', () => {
  it('reads each tensor from its file, and nothing else of the data', async () => {
    const inner = shardedFiles();
    const reads: string[] = [];
    const source: FileSource = {
      size: (path) => inner.size(path),
      read: (path, start, end) => {
        reads.push(`${path} ${start}-${end}`);
        return inner.read(path, start, end);
      },
    };
    const reader = await openSharded(source);
    expect(reader.names).toEqual(['a', 'b', 'c']);
    reads.length = 0;
    expect([...(await reader.readF32('b'))]).toEqual([1]);
    expect(reads).toEqual([expect.stringContaining(A)]);
    expect(reader.info('c')).toMatchObject({ dtype: 'F32', shape: [1] });
    expect(() => reader.info('d')).toThrow(expect.objectContaining({ name: 'TensorNotFoundError' }));
  });

  it.each<[string, FileSource, object]>([
    ['a missing index', memorySource(new Map()), { code: 'NOT_FOUND' }],
    ['a missing file', shardedFiles({ a: A, b: A, c: 'model-3.safetensors' }), { code: 'NOT_FOUND' }],
    [
      'an index that is not JSON',
      shardedFiles({}, { [WEIGHTS_INDEX_FILE]: json(1).slice(0, 0) }),
      { reason: 'INVALID_SAFETENSORS' },
    ],
    [
      'an index without a map',
      shardedFiles(null),
      { fieldViolations: [expect.objectContaining({ field: 'weight_map' })] },
    ],
    [
      'a file outside the folder',
      shardedFiles({ a: '../secret.safetensors', b: 'x/y.safetensors' }),
      {
        fieldViolations: [
          expect.objectContaining({ field: 'weight_map.a' }),
          expect.objectContaining({ field: 'weight_map.b' }),
        ],
      },
    ],
    [
      'a tensor listed twice',
      shardedFiles(
        {},
        { [WEIGHTS_INDEX_FILE]: new TextEncoder().encode(`{"weight_map":{"a":"${A}","a":"${B}"}}`) },
      ),
      { fieldViolations: [{ field: 'a', description: 'key occurs twice' }] },
    ],
    [
      'every disagreement of index and files',
      shardedFiles({ a: A, c: A, d: B }),
      {
        fieldViolations: [
          { field: 'b', description: expect.stringContaining('does not list') },
          { field: 'c', description: expect.stringContaining(`the index says ${A}`) },
          { field: 'c', description: expect.stringContaining(`is not in ${A}`) },
          { field: 'd', description: expect.stringContaining(`is not in ${B}`) },
        ],
      },
    ],
    [
      'a tensor in two files',
      shardedFiles(undefined, { [B]: fileOf('c', 'a') }),
      { fieldViolations: [{ field: 'a', description: expect.stringContaining(`is in ${B}`) }] },
    ],
    [
      'a damaged file',
      shardedFiles(undefined, { [B]: fileOf('c').slice(0, -1) }),
      { name: 'InvalidSafetensorsError' },
    ],
  ])('refuses %s', async (_, source, error) => {
    await expect(openSharded(source)).rejects.toMatchObject(error);
  });
});

describe('writing a file tensor by tensor', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sharded-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('writeSafetensors() gives the bytes of encodeSafetensors(), and asks for each tensor once', async () => {
    const data = new Map([
      ['b', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
      ['a', { shape: [3], data: Float32Array.of(5, 6, 7) }],
      ['none', { shape: [0], data: new Float32Array(0) }],
    ]);
    const shapes = new Map([...data].map(([name, { shape }]) => [name, { dtype: 'F32' as const, shape }]));
    const asked: string[] = [];
    await writeSafetensors(join(folder, 'new', WEIGHTS_FILE), shapes, async (name) => {
      asked.push(name);
      return data.get(name)?.data ?? new Float32Array(9);
    });
    expect(new Uint8Array(await readFile(join(folder, 'new', WEIGHTS_FILE)))).toEqual(
      encodeSafetensors(data),
    );
    expect(asked).toEqual(['a', 'b', 'none']);
  });

  it('leaves the old file and no draft when a tensor cannot be had', async () => {
    const path = join(folder, WEIGHTS_FILE);
    await writeFile(path, 'old');
    const shapes = new Map([['a', { dtype: 'F32' as const, shape: [2] }]]);
    await expect(writeSafetensors(path, shapes, () => new Float32Array(3))).rejects.toMatchObject({
      name: 'TensorSizeError',
    });
    await expect(writePlanned(path, planSafetensors(shapes), () => new Uint8Array(3))).rejects.toThrow(
      RangeError,
    );
    await expect(writeSafetensors(path, shapes, () => Promise.reject(new Error('gone')))).rejects.toThrow(
      'gone',
    );
    expect(await readdir(folder)).toEqual([WEIGHTS_FILE]);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  it('saveModel() writes what encodeModelFiles() gives, from a model in memory or a source of tensors', async () => {
    const model = smallModel();
    const { config } = model;
    const weights = model.exportWeights();
    await writeFile(join(folder, WEIGHTS_INDEX_FILE), 'of an older checkpoint');
    for (const source of [
      model,
      { config, weights },
      { config, readF32: async (name: string) => weights.get(name) ?? new Float32Array(0) },
    ]) {
      await saveModel(folder, source, byteTokenizer());
      const files = encodeModelFiles(model, byteTokenizer());
      expect((await readdir(folder)).sort()).toEqual([...files.keys()].sort());
      for (const [name, bytes] of files)
        expect(new Uint8Array(await readFile(join(folder, name)))).toEqual(bytes);
    }
    model.dispose();
  });

  it.each(['F16', 'BF16'] as const)('saveModel() rounds to %s, and what was rounded stays', async (dtype) => {
    const model = smallModel();
    const { config } = model;
    await saveModel(folder, model, byteTokenizer(), { dtype });
    const first = await readFile(join(folder, WEIGHTS_FILE));
    expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')).torch_dtype).toBe(
      dtype === 'F16' ? 'float16' : 'bfloat16',
    );
    const { reader } = await openWeights(directorySource(folder));
    const bound = dtype === 'F16' ? 2 ** -11 : 2 ** -8;
    for (const [name, values] of model.exportWeights()) {
      const read = await reader.readF32(name);
      // Half a unit in the last place; f16 numbers below 2^-14 have a fixed step of 2^-24.
      const isOff = values.some(
        (value, i) => Math.abs(value - (read[i] ?? 9)) > bound * Math.abs(value) + 2 ** -25,
      );
      expect(isOff).toBe(false);
    }
    expect([...parameterShapes(config).keys()].every((name) => reader.info(name).dtype === dtype)).toBe(true);
    const loaded = await loadModel(folder);
    await saveModel(folder, loaded.model, loaded.tokenizer, { dtype });
    expect((await readFile(join(folder, WEIGHTS_FILE))).equals(first)).toBe(true);
    loaded.model.dispose();
    model.dispose();
  });
});
