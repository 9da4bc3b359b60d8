import { mkdtemp, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@agentforge/errors';
import fc from 'fast-check';
import { directorySource, type FileSource, memorySource } from '../files/file-source.js';
import { bf16Bits, toBf16Bytes } from './half.js';
import { duplicateKeys } from './json-duplicates.js';
import { openSafetensors } from './reader.js';
import { encodeSafetensors, planSafetensors, writeSafetensors } from './writer.js';

const FILE = 'model.safetensors';
const TENSORS = new Map([
  ['b.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['a.weight', { shape: [2], data: Float32Array.of(-1, 0.5) }],
  ['empty', { shape: [0, 4], data: new Float32Array(0) }],
]);

function sourceOf(bytes: Uint8Array): FileSource {
  return memorySource(new Map([[FILE, bytes]]));
}

/** A file with a hand-written header. */
function fileOf(header: string, dataBytes: number, declaredLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, declaredLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

async function failureOf(bytes: Uint8Array): Promise<AppError> {
  const error = await openSafetensors(sourceOf(bytes), FILE).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error(`expected an AppError, got ${String(error)}`);
}

describe('encodeSafetensors()', () => {
  it('writes the same bytes whatever the order of the tensors', () => {
    const reversed = new Map([...TENSORS].reverse());
    expect(encodeSafetensors(reversed)).toEqual(encodeSafetensors(TENSORS));
  });

  it('aligns the data and names the format', () => {
    const file = encodeSafetensors(TENSORS);
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    expect(Object.keys(header)).toEqual(['__metadata__', 'a.weight', 'b.weight', 'empty']);
    expect(header['__metadata__']).toEqual({ format: 'pt' });
  });

  it('throws TensorSizeError when data and shape disagree', () => {
    const tensors = new Map([['x', { shape: [2, 2], data: new Float32Array(3) }]]);
    expect(() => encodeSafetensors(tensors)).toThrow(expect.objectContaining({ name: 'TensorSizeError' }));
  });

  it('can be written tensor by tensor', () => {
    const whole = encodeSafetensors(TENSORS);
    const plan = planSafetensors(
      new Map([...TENSORS].map(([name, { shape }]) => [name, { dtype: 'F32', shape }])),
    );
    const pieces = new Uint8Array(plan.sizeBytes);
    pieces.set(plan.head);
    for (const [name, { data }] of TENSORS)
      pieces.set(new Uint8Array(data.buffer), plan.ranges.get(name)?.begin);
    expect(pieces).toEqual(whole);
  });
});

describe('openSafetensors()', () => {
  it('reads back what was written', async () => {
    const reader = await openSafetensors(sourceOf(encodeSafetensors(TENSORS)), FILE);
    expect(reader.metadata).toEqual({ format: 'pt' });
    for (const [name, { shape, data }] of TENSORS) {
      expect(reader.info(name).shape).toEqual(shape);
      expect(await reader.readF32(name)).toEqual(data);
    }
  });

  it('reads one tensor without the rest of the file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'safetensors-'));
    try {
      await writeFile(join(directory, FILE), encodeSafetensors(TENSORS));
      const folder = directorySource(directory);
      let bytesRead = 0;
      const counting: FileSource = {
        size: (path) => folder.size(path),
        read: async (path, start, end) => {
          const bytes = await folder.read(path, start, end);
          bytesRead += bytes.length;
          return bytes;
        },
      };
      const reader = await openSafetensors(counting, FILE);
      bytesRead = 0;
      expect(await reader.readF32('a.weight')).toEqual(Float32Array.of(-1, 0.5));
      expect(bytesRead).toBe(8);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('converts F16, BF16 and F64 exactly', async () => {
    const header = {
      h: { dtype: 'F16', shape: [6], data_offsets: [8, 20] },
      b: { dtype: 'BF16', shape: [2], data_offsets: [20, 24] },
      d: { dtype: 'F64', shape: [1], data_offsets: [0, 8] },
    };
    const bytes = fileOf(JSON.stringify(header), 24);
    const view = new DataView(bytes.buffer, bytes.length - 24);
    view.setFloat64(0, 0.25, true);
    // 1, -2, smallest subnormal, largest, -inf, nan
    for (const [i, half] of [0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x7e00].entries()) {
      view.setUint16(8 + 2 * i, half, true);
    }
    for (const [i, half] of [0x3f80, 0xc049].entries()) view.setUint16(20 + 2 * i, half, true);
    const reader = await openSafetensors(sourceOf(bytes), FILE);
    expect([...(await reader.readF32('h'))]).toEqual([
      1,
      -2,
      2 ** -24,
      65504,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
    ]);
    expect([...(await reader.readF32('b'))]).toEqual([1, -3.140625]);
    expect([...(await reader.readF32('d'))]).toEqual([0.25]);
  });

  it('throws on a missing file, a missing tensor and integers read as f32', async () => {
    await expect(openSafetensors(memorySource(new Map()), FILE)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const file = fileOf(JSON.stringify({ i: { dtype: 'I32', shape: [1], data_offsets: [0, 4] } }), 4);
    const reader = await openSafetensors(sourceOf(file), FILE);
    await expect(reader.readF32('j')).rejects.toMatchObject({ name: 'TensorNotFoundError' });
    await expect(reader.readF32('i')).rejects.toMatchObject({ name: 'TensorDtypeError' });
  });

  it.each<[string, Uint8Array, string, RegExp]>([
    ['fewer than 8 bytes', new Uint8Array(7), 'header', /7 bytes/],
    ['a header above the limit', fileOf('{}', 0, 1n << 40n), 'header', /larger than the limit/],
    ['a header longer than the file', fileOf('{}', 0, 100n), 'header', /truncated/],
    ['a header that is not an object', fileOf('[1]', 0), 'header', /does not start/],
    ['a header that is not UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), 'header', /UTF-8/],
    ['a header that is not JSON', fileOf('{"a": }', 0), 'header', /not JSON/],
    ['metadata that are not strings', fileOf('{"__metadata__": {"a": 1}}', 0), '__metadata__', /strings/],
    ['a tensor that is no object', fileOf('{"a": 3}', 0), 'a', /must be an object/],
    [
      'an unknown dtype',
      fileOf('{"a": {"dtype":"F31","shape":[1],"data_offsets":[0,4]}}', 4),
      'a.dtype',
      /"F31"/,
    ],
    [
      'an inherited name as dtype',
      fileOf('{"a": {"dtype":"toString","shape":[1],"data_offsets":[0,4]}}', 4),
      'a.dtype',
      /toString/,
    ],
    [
      'a negative size',
      fileOf('{"a": {"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4),
      'a.shape',
      /whole numbers/,
    ],
    [
      'a shape whose product overflows',
      fileOf('{"a": {"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}', 4),
      'a.shape',
      /2\^53/,
    ],
    [
      'offsets beyond the data',
      fileOf('{"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 4),
      'a.data_offsets',
      /truncated/,
    ],
    [
      'offsets the wrong way round',
      fileOf('{"a": {"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4),
      'a.data_offsets',
      /begin ≤ end/,
    ],
    [
      'a size that does not fit dtype and shape',
      fileOf('{"a": {"dtype":"F64","shape":[1],"data_offsets":[0,4]}}', 4),
      'a.data_offsets',
      /need 8/,
    ],
    [
      'overlapping tensors',
      fileOf(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}',
        6,
      ),
      'b.data_offsets',
      /overlaps/,
    ],
    [
      'a gap',
      fileOf(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}',
        3,
      ),
      'b.data_offsets',
      /gap/,
    ],
    [
      'data after the last tensor',
      fileOf('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 9),
      'header',
      /9 bytes/,
    ],
    [
      'a key twice',
      fileOf(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
      ),
      'a',
      /twice/,
    ],
    [
      'an unknown property',
      fileOf('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}', 1),
      'a.x',
      /not a known/,
    ],
  ])('refuses %s', async (_, bytes, field, description) => {
    const error = await failureOf(bytes);
    expect(error).toMatchObject({ name: 'InvalidSafetensorsError', code: 'INVALID_ARGUMENT' });
    expect(error.message).toContain(FILE);
    expect(error.fieldViolations).toContainEqual({ field, description: expect.stringMatching(description) });
  });

  it('lists all problems at once', async () => {
    const error = await failureOf(fileOf('{"a":{"dtype":"X","shape":[1.5],"data_offsets":[0]},"b":1}', 0));
    expect(error.fieldViolations.map(({ field }) => field)).toEqual([
      'a.dtype',
      'a.shape',
      'a.data_offsets',
      'b',
    ]);
  });

  it('survives any damage: an AppError, or tensors of the promised size', async () => {
    const good = encodeSafetensors(TENSORS);
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(good.length), async (changes, cut) => {
        const bytes = good.slice(0, good.length - (cut % 3 === 0 ? cut : 0));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        await readAll(bytes);
      }),
      { numRuns: 500, seed: 7 },
    );
  }, 60_000);

  it('survives arbitrary headers', async () => {
    const entry = fc.record(
      {
        dtype: fc.constantFrom('F32', 'U8', 'F16', 'bad'),
        shape: fc.oneof(fc.array(fc.nat(4), { maxLength: 3 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.tuple(fc.nat(64), fc.nat(64)), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), fc.oneof(entry, fc.jsonValue())),
        fc.nat(64),
        (header, size) => readAll(fileOf(JSON.stringify(header), size)),
      ),
      { numRuns: 500, seed: 11 },
    );
  }, 60_000);
});

async function readAll(bytes: Uint8Array): Promise<void> {
  try {
    const reader = await openSafetensors(sourceOf(bytes), FILE);
    for (const name of reader.names) {
      const { begin, end } = reader.info(name);
      expect((await reader.readBytes(name)).length).toBe(end - begin);
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

describe('duplicateKeys()', () => {
  it('finds repeated keys at any depth and nothing else', () => {
    expect(duplicateKeys('{"a": {"b": 1, "b": 2}, "a" : [{"b": "a", "c": "\\"a\\": {"}]}')).toEqual([
      'b',
      'a',
    ]);
    fc.assert(fc.property(fc.jsonValue(), (value) => duplicateKeys(JSON.stringify(value)).length === 0));
  });
});

describe('SafetensorsReader.readF32()', () => {
  it('reads only its own bytes from a source that hands out Buffers, whose slice() does not copy', async () => {
    const file = encodeSafetensors(
      new Map([
        ['a', { shape: [2], data: new Float32Array([1, 2]) }],
        ['b', { shape: [3], data: new Float32Array([3, 4, 5]) }],
      ]),
    );
    const reader = await openSafetensors(memorySource(new Map([['t', Buffer.from(file)]])), 't');
    expect(await reader.readF32('a')).toEqual(new Float32Array([1, 2]));
    expect(await reader.readF32('b')).toEqual(new Float32Array([3, 4, 5]));
  });
});

describe('SafetensorsReader.readF32Into()', () => {
  const rng = (i: number) => Math.sin(i * 12.9898) * 2 ** ((i % 37) - 18);
  const values = Float32Array.from({ length: 999 }, (_, i) => rng(i));
  values.set([0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 65_504, 1e-7, 3.4e38]);

  it.each(['F32', 'F16', 'BF16'] as const)(
    'gives what readF32 gives of %s, from a folder and from memory',
    async (dtype) => {
      const folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
      try {
        await writeSafetensors(
          join(folder, FILE),
          new Map([['x', { dtype, shape: [27, 37] }]]),
          () => values,
        );
        const source = directorySource(folder);
        for (const from of [source, sourceOf(await source.read(FILE))]) {
          const reader = await openSafetensors(from, FILE);
          const target = new Float32Array(999).fill(7);
          await reader.readF32Into('x', target);
          expect(target).toEqual(await reader.readF32('x'));
          await expect(reader.readF32Into('x', new Float32Array(998))).rejects.toMatchObject({
            code: 'INVALID_ARGUMENT',
          });
        }
        await writeFile(join(folder, FILE), (await source.read(FILE)).subarray(0, 500));
        const cut = await openSafetensors(source, FILE).catch((error: unknown) => error);
        expect(cut).toBeInstanceOf(AppError);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );

  it('says how much of a tensor is there when a file gets shorter', async () => {
    const files = new Map([[FILE, encodeSafetensors(TENSORS)]]);
    const reader = await openSafetensors(memorySource(files), FILE);
    files.set(FILE, encodeSafetensors(TENSORS).subarray(0, 100));
    await expect(reader.readF32Into('b.weight', new Float32Array(6))).rejects.toThrow(
      'of 24 bytes could be read',
    );
  });

  describe('of a file in a folder', () => {
    const OTHER = new Map(
      [...TENSORS].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x + 1) }]),
    );
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
      await writeFile(join(folder, FILE), encodeSafetensors(TENSORS));
      await utimes(join(folder, FILE), 1000, 1000);
    });
    afterEach(() => rm(folder, { recursive: true }));

    it.each<[string, () => Promise<void>]>([
      [
        'another of the same size is renamed to its name',
        async () => {
          await writeFile(join(folder, 'draft'), encodeSafetensors(OTHER));
          await utimes(join(folder, 'draft'), 1000, 1000);
          await rename(join(folder, 'draft'), join(folder, FILE));
        },
      ],
      [
        'others are written over its bytes',
        async () => {
          await writeFile(join(folder, FILE), encodeSafetensors(OTHER));
          await utimes(join(folder, FILE), 1001, 1001);
        },
      ],
      [
        'it is cut short',
        async () => {
          await truncate(join(folder, FILE), 100);
          await utimes(join(folder, FILE), 1000, 1000);
        },
      ],
    ])('takes no tensor of it when %s', async (_, replace) => {
      const source = directorySource(folder);
      const reader = await openSafetensors(source, FILE);
      expect(await reader.readF32('a.weight')).toEqual(TENSORS.get('a.weight')?.data);
      await replace();
      const error = {
        name: 'InvalidSafetensorsError',
        message: expect.stringContaining('file: was replaced'),
      };
      await expect(reader.readF32('b.weight')).rejects.toMatchObject(error);
      await expect(reader.readF32Into('b.weight', new Float32Array(6))).rejects.toMatchObject(error);
    });

    it('reads the other file after it was opened anew, and says when it is gone', async () => {
      const source = directorySource(folder);
      const first = await openSafetensors(source, FILE);
      await writeFile(join(folder, 'draft'), encodeSafetensors(OTHER));
      await rename(join(folder, 'draft'), join(folder, FILE));
      const second = await openSafetensors(source, FILE);
      expect(await second.readF32('b.weight')).toEqual(OTHER.get('b.weight')?.data);
      await rm(join(folder, FILE));
      await expect(first.readF32('b.weight')).rejects.toMatchObject({ name: 'ModelFileMissingError' });
    });
  });
});

describe('toBf16Bytes()', () => {
  it('rounds every kind of number as bf16Bits does', () => {
    const words = Uint32Array.from({ length: 4096 }, (_, i) => Math.imul(i, 0x9e37_79b1));
    words.set([
      0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 0x7f7f_ffff, 0x3f80_8000, 0x3f81_8000, 0x8000_0000,
    ]);
    const values = new Float32Array(words.buffer);
    const halves = new Uint16Array(toBf16Bytes(values).buffer);
    values.forEach((value, i) => {
      const isQuieted = Number.isNaN(value);
      if (isQuieted) expect(((halves[i] as number) & 0x7fff) > 0x7f80).toBe(true);
      else expect(halves[i]).toBe(bf16Bits(value));
    });
  });
});
