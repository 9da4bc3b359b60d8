import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@agentforge/errors';
import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import fc from 'fast-check';
import { type ModelConfig, presetConfig } from '../config/model-config.js';
import { directorySource, memorySource } from '../files/file-source.js';
import { LlamaModel } from '../llama/llama-model.js';
import { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { trainBpe } from '../tokenizer/bpe-trainer.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import type { PreTokenizer } from '../tokenizer/pre-tokenize.js';
import { exportGguf, type GgufExportOptions } from './export-gguf.js';
import { loadGguf, openGgufModel } from './import-gguf.js';
import { permuteRotaryRows } from './llama-tensors.js';
import { type GgufReader, openGguf } from './reader.js';
import { ternarize } from './ternarize.js';
import { tokenizerFromMetadata } from './tokenizer.js';
import type { GgufMetadata, GgufValue } from './values.js';
import { planGguf } from './writer.js';

const FILE = 'model.gguf';
const CONFIG = presetConfig('pico', {
  vocabSize: 300,
  hiddenSize: 256,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 128,
  intermediateSize: 256,
  contextLength: 32,
  ropeTheta: 50_000,
});
const tokenizer = trainBpe(['to be or not to be, that is the question'.repeat(3)], { vocabSize: 280 });

/** Weights that make logits of some units, ternary where a ternary type keeps them. */
function sourceOf(config: ModelConfig) {
  const model = LlamaModel.init(config, new Philox(1));
  const weights = model.exportWeights();
  model.dispose();
  for (const [name, values] of weights) {
    if (!name.includes('norm'))
      weights.set(
        name,
        values.map((value) => 4 * value),
      );
  }
  return { config, weights, readF32: (name: string) => weights.get(name) ?? new Float32Array(0) };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gguf-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function exported(options: GgufExportOptions, config = CONFIG, tok = tokenizer) {
  const path = join(folder, `${options.type}.gguf`);
  const report = await exportGguf(path, sourceOf(config), tok, options);
  return { path, report, bytes: new Uint8Array(await readFile(path)) };
}

function logitsOf(model: LlamaModel): Float32Array {
  const ids = Int32Array.from({ length: 16 }, (_, i) => (i * 37) % 280);
  return noGrad(() => scope(() => model.forward(tensor(ids, [1, 16])).toFloat32Array()));
}

describe('exportGguf() and loadGguf()', () => {
  it('keep an f32 model to the bit, with its tokenizer and configuration', async () => {
    const { bytes, report } = await exported({ type: 'f32' });
    expect(report.sizeBytes).toBe(bytes.length);
    expect(report.tensors.every(({ relativeError }) => relativeError === 0)).toBe(true);
    const loaded = await loadGguf(memorySource(new Map([[FILE, bytes]])), FILE);
    expect(loaded.config).toEqual(CONFIG);
    const { weights } = sourceOf(CONFIG);
    for (const [name, values] of loaded.model.exportWeights())
      expect(isSame(values, weights.get(name))).toBe(true);
    expect(loaded.tokenizer.vocabulary).toEqual(tokenizer.vocabulary);
    loaded.model.dispose();
  });

  // Of the largest logit; two layers deep, several times what one rounding of the type loses.
  it.each<[GgufExportOptions['type'], number]>([
    ['f16', 0.003],
    ['q8_0', 0.05],
    ['tq1_0', 0.002],
    ['tq2_0', 0.002],
  ])(
    'keep the logits of a %s model within its rounding, and the same file the second time',
    async (type, tolerance) => {
      const { bytes, report, path } = await exported({ type });
      const loaded = await loadGguf(directorySource(folder), `${type}.gguf`);
      const ternarized = report.tensors.filter(({ wasTernarized }) => wasTernarized);
      expect(ternarized).toHaveLength(type.startsWith('tq') ? 14 : 0);
      {
        const { weights } = sourceOf(CONFIG);
        // A ternary type holds the rounded matrices, with nothing but the f16 embedding lost.
        for (const { name } of ternarized)
          weights.set(name, ternarize(weights.get(name) ?? new Float32Array(0)));
        const reference = LlamaModel.fromState(CONFIG, weights);
        expectClose(logitsOf(loaded.model), logitsOf(reference), tolerance);
        reference.dispose();
      }
      const kept = loaded.model.exportWeights();
      const again = await exportGguf(
        path,
        {
          config: loaded.config,
          readF32: (name) => kept.get(name) ?? new Float32Array(0),
        },
        loaded.tokenizer,
        { type },
      );
      expect(again.sha256).toBe(report.sha256);
      expect(isSame(new Uint8Array(await readFile(path)), bytes)).toBe(true);
      loaded.model.dispose();
    },
  );

  it('write an untied output projection, and embeddings of another type', async () => {
    const config = { ...CONFIG, tieWordEmbeddings: false };
    const { bytes, report } = await exported({ type: 'tq2_0', embeddingType: 'q8_0' }, config);
    const types = new Map(report.tensors.map(({ name, type }) => [name, type]));
    expect(types.get('lm_head.weight')).toBe('Q8_0');
    expect(types.get('model.norm.weight')).toBe('F32');
    expect(types.get('model.layers.1.mlp.up_proj.weight')).toBe('TQ2_0');
    const { config: read } = await openGgufModel(memorySource(new Map([[FILE, bytes]])), FILE);
    expect(read).toEqual(config);
  });

  it('write a tokenizer without merges and one with fewer ids than embeddings', async () => {
    const { bytes } = await exported({ type: 'f16' }, CONFIG, byteTokenizer());
    const loaded = await loadGguf(memorySource(new Map([[FILE, bytes]])), FILE);
    expect(loaded.tokenizer.vocabulary).toEqual(byteTokenizer().vocabulary);
    loaded.model.dispose();
  });

  it.each<[PreTokenizer, boolean, string]>([
    ['gpt2', false, 'gpt-2'],
    ['llama3', true, 'llama-bpe'],
    ['smollm', false, 'smollm'],
  ])(
    'keep a tokenizer that cuts text as %s does, and its token before a text',
    async (preTokenizer, ignoreMerges, pre) => {
      for (const bosToken of [null, '<|begin|>']) {
        const { vocabulary } = trainBpe(['to be'], {
          vocabSize: 262,
          specialTokens: ['<|end|>', '<|begin|>'],
        });
        const tok = new BpeTokenizer({ ...vocabulary, preTokenizer, ignoreMerges, bosToken });
        const { bytes } = await exported({ type: 'f16' }, CONFIG, tok);
        const source = memorySource(new Map([[FILE, bytes]]));
        const { metadata } = await openGguf(source, FILE);
        expect(metadata.get('tokenizer.ggml.pre')?.value).toBe(pre);
        expect(metadata.get('tokenizer.ggml.add_bos_token')?.value).toBe(bosToken !== null);
        // The model's own, 0, where the tokenizer has none.
        expect(metadata.get('tokenizer.ggml.bos_token_id')?.value).toBe(bosToken === null ? 0 : 1);
        expect(tokenizerFromMetadata(FILE, metadata).vocabulary).toEqual(tok.vocabulary);
      }
    },
  );

  it('read a tokenizer of other writers: more names, and a token before the text of Llama 3 that is not mentioned', async () => {
    const { bytes } = await exported({ type: 'f16' });
    const { metadata } = await openGguf(memorySource(new Map([[FILE, bytes]])), FILE);
    const read = (pre: string | null) => {
      const edited = new Map(metadata);
      edited.delete('tokenizer.ggml.pre');
      edited.delete('tokenizer.ggml.add_bos_token');
      if (pre !== null) edited.set('tokenizer.ggml.pre', { type: 'string', value: pre });
      const { preTokenizer, ignoreMerges, bosToken } = tokenizerFromMetadata(FILE, edited).vocabulary;
      return [preTokenizer, ignoreMerges, bosToken];
    };
    for (const name of ['llama-bpe', 'llama3', 'llama-v3'])
      expect(read(name)).toEqual(['llama3', true, '<|endoftext|>']);
    for (const name of [null, 'default', 'gpt-2']) expect(read(name)).toEqual(['gpt2', false, null]);
    expect(read('smollm')).toEqual(['smollm', false, null]);
    expect(() => read('qwen2')).toThrow(/"qwen2".*llama-bpe.*smollm.*openGgufModel/);
  });

  it.each<[PreTokenizer, boolean]>([
    ['gpt2', true],
    ['smollm', true],
    ['llama3', false],
  ])(
    'refuse a tokenizer that llama.cpp does not have (%s, merges ignored: %s)',
    async (preTokenizer, ignoreMerges) => {
      const tok = new BpeTokenizer({ ...tokenizer.vocabulary, preTokenizer, ignoreMerges });
      await expect(exported({ type: 'f16' }, CONFIG, tok)).rejects.toMatchObject({
        name: 'GgufExportError',
        fieldViolations: [{ field: 'tokenizer', description: expect.stringContaining('llama.cpp') }],
      });
    },
  );

  it('name every tensor whose rows are no whole blocks, and leave no file', async () => {
    const config = { ...CONFIG, hiddenSize: 96, intermediateSize: 200 };
    const target = join(folder, 'none.gguf');
    const failing = exportGguf(target, sourceOf(config), tokenizer, { type: 'tq1_0' });
    await expect(failing).rejects.toMatchObject({
      name: 'GgufExportError',
      code: 'INVALID_ARGUMENT',
      fieldViolations: expect.arrayContaining([
        expect.objectContaining({
          field: 'model.layers.0.self_attn.q_proj.weight',
          description: expect.stringContaining('rows of 96; TQ1_0 needs multiples of 256'),
        }),
        expect.objectContaining({ field: 'model.layers.1.mlp.down_proj.weight' }),
      ]),
    });
    await expect(readFile(target)).rejects.toThrow('ENOENT');
  });

  it.each<[number, GgufExportOptions['type']]>([
    [Number.NaN, 'f16'],
    [Number.POSITIVE_INFINITY, 'f16'],
    [1e6, 'f16'],
    [Number.NaN, 'q8_0'],
    [1e8, 'q8_0'],
    [Number.NaN, 'tq1_0'],
    [Number.NEGATIVE_INFINITY, 'tq2_0'],
  ])('refuse a weight of %d in %s, and leave no draft', async (value, type) => {
    const source = sourceOf(CONFIG);
    source.readF32('model.layers.1.mlp.up_proj.weight')[7] = value;
    const before = await readdir(folder);
    await expect(exportGguf(join(folder, 'bad.gguf'), source, tokenizer, { type })).rejects.toMatchObject({
      fieldViolations: [expect.objectContaining({ field: 'model.layers.1.mlp.up_proj.weight' })],
    });
    expect(await readdir(folder)).toEqual(before);
  });
});

describe('permuteRotaryRows()', () => {
  it('pairs component i with i + D/2, head by head, and back', () => {
    const weight = Float32Array.from({ length: 8 }, (_, i) => i);
    expect([...permuteRotaryRows(weight, 2, 1)]).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
    const wide = Float32Array.from({ length: 3 * 8 * 5 }, (_, i) => i);
    expect(permuteRotaryRows(permuteRotaryRows(wide, 3, 5), 3, 5, true)).toEqual(wide);
  });
});

const METADATA: GgufMetadata = new Map<string, GgufValue>([
  ['u8', { type: 'u8', value: 255 }],
  ['i8', { type: 'i8', value: -128 }],
  ['u16', { type: 'u16', value: 65_535 }],
  ['i16', { type: 'i16', value: -32_768 }],
  ['u32', { type: 'u32', value: 4_294_967_295 }],
  ['i32', { type: 'i32', value: -2_147_483_648 }],
  ['f32', { type: 'f32', value: 0.5 }],
  ['u64', { type: 'u64', value: 2n ** 64n - 1n }],
  ['i64', { type: 'i64', value: -(2n ** 63n) }],
  ['f64', { type: 'f64', value: 0.1 }],
  ['bool', { type: 'bool', value: true }],
  ['string', { type: 'string', value: 'naïve \u{1F389}' }],
  ['strings', { type: 'array', of: 'string', value: ['', 'b'] }],
  ['bools', { type: 'array', of: 'bool', value: [true, false] }],
  ['numbers', { type: 'array', of: 'i16', value: Int16Array.of(-1, 2) }],
  ['none', { type: 'array', of: 'string', value: [] }],
]);

/** A file of two tensors with metadata of every type. */
function smallFile(): Uint8Array {
  const plan = planGguf(
    METADATA,
    new Map([
      ['a', { type: 'F32', shape: [2, 3] }],
      ['b', { type: 'TQ2_0', shape: [1, 256] }],
    ]),
  );
  const file = new Uint8Array(plan.sizeBytes);
  file.set(plan.head);
  file.set(new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer), plan.ranges.get('a')?.begin);
  return file;
}

/** The small file with bytes replaced from where a text occurs, and an offset. */
function patched(text: string, offset: number, bytes: ArrayLike<number>): Uint8Array {
  const file = smallFile();
  file.set(bytes, Buffer.from(file).indexOf(text) + offset);
  return file;
}

async function failureOf(bytes: Uint8Array): Promise<AppError> {
  const error = await openGguf(memorySource(new Map([[FILE, bytes]])), FILE).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AppError) return error;
  throw new Error(`expected an AppError, got ${String(error)}`);
}

const u64 = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer);
const A_DIMS = 1 + 4; // after the name: u32 axes, then u64 each, u32 type, u64 offset

describe('openGguf()', () => {
  it('reads back metadata of every type, and tensors', async () => {
    const reader = await openGguf(memorySource(new Map([[FILE, smallFile()]])), FILE);
    expect(reader.metadata).toEqual(METADATA);
    expect(reader.info('a').shape).toEqual([2, 3]);
    expect([...(await reader.readF32('a'))]).toEqual([1, 2, 3, 4, 5, 6]);
    await expect(reader.readF32('c')).rejects.toMatchObject({ name: 'TensorNotFoundError' });
  });

  it('reads a header longer than the first look, and of the file only that', async () => {
    const many = Array.from({ length: 80_000 }, (_, i) => `token ${i}`);
    const plan = planGguf(new Map([['many', { type: 'array', of: 'string', value: many }]]), new Map());
    await writeFile(join(folder, FILE), plan.head);
    const reader = await openGguf(directorySource(folder), FILE);
    expect(String(reader.metadata.get('many')?.value)).toBe(String(many));
  });

  it('takes no tensor of another file that was renamed to its name', async () => {
    await writeFile(join(folder, FILE), smallFile());
    const reader = await openGguf(directorySource(folder), FILE);
    expect([...(await reader.readF32('a'))]).toEqual([1, 2, 3, 4, 5, 6]);
    await writeFile(join(folder, 'draft'), smallFile());
    await rename(join(folder, 'draft'), join(folder, FILE));
    await expect(reader.readF32('a')).rejects.toMatchObject({
      name: 'InvalidGgufError',
      message: expect.stringContaining('file: was replaced'),
    });
  });

  it.each<[string, Uint8Array, string, RegExp]>([
    ['another kind of file', Uint8Array.from(Buffer.from('GGML and more')), 'header', /"GGUF"/],
    ['an empty file', new Uint8Array(0), 'header', /0 are left/],
    ['another version', patched('GGUF', 4, [2]), 'header', /version is 2/],
    ['a big-endian file', patched('GGUF', 4, [0, 0, 0, 3]), 'header', /big-endian/],
    ['2^60 tensors', patched('GGUF', 8, u64(2n ** 60n)), 'header', /no file can hold/],
    ['a million tensors', patched('GGUF', 8, u64(1_000_000n)), 'header', /do not fit in/],
    ['2^50 metadata entries', patched('GGUF', 16, u64(2n ** 50n)), 'header', /do not fit in/],
    [
      'a string longer than the file',
      patched('naïve', -8, u64(2n ** 40n)),
      'header',
      /string at byte .*truncated/,
    ],
    [
      'an array longer than the file',
      patched('numbers', 7 + 8, u64(2n ** 40n)),
      'header',
      /numbers .*truncated/,
    ],
    [
      'strings that cannot fit',
      patched('strings', 7 + 8, u64(2n ** 30n)),
      'header',
      /strings has 1073741824 strings/,
    ],
    ['an unknown type', patched('i32', 3, [99]), 'header', /i32 has the unknown type 99/],
    ['a nested array', patched('numbers', 7 + 4, [9]), 'header', /nested/],
    ['a truth value of 2', patched('bool', 4 + 4, [2]), 'header', /truth value 2/],
    ['text that is not UTF-8', patched('naïve', 2, [0xff]), 'header', /not UTF-8/],
    ['a key twice', patched('u16', 0, Buffer.from('i16')), 'i16', /twice/],
  ])('refuses %s', async (_, bytes, field, description) => {
    const error = await failureOf(bytes);
    expect(error).toMatchObject({ name: 'InvalidGgufError', code: 'INVALID_ARGUMENT' });
    expect(error.fieldViolations).toContainEqual({ field, description: expect.stringMatching(description) });
  });

  /** The place of tensor a's name in the header: behind its length of 1. */
  const tensorA = (offset: number, bytes: ArrayLike<number>): Uint8Array => {
    const file = smallFile();
    const name = Buffer.from(file).lastIndexOf(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0x61, 2, 0, 0, 0]));
    file.set(bytes, name + 8 + offset);
    return file;
  };

  it.each<[string, Uint8Array, string, RegExp]>([
    ['a name twice', tensorA(0, [0x62]), 'b.name', /twice/],
    ['five axes', tensorA(1, [5]), 'header', /5 axes/],
    ['an axis of 2^52', tensorA(A_DIMS, u64(2n ** 52n)), 'a.shape', /more than a file can hold/],
    ['an empty axis', tensorA(A_DIMS, u64(0n)), 'a.shape', /no elements/],
    ['an unknown tensor type', tensorA(A_DIMS + 16, [12]), 'a.type', /ggml type 12; supported are F32/],
    ['rows that are no blocks', tensorA(A_DIMS + 16, [35]), 'a.shape', /multiples of 256/],
    ['overlapping tensors', tensorA(A_DIMS, u64(30n)), 'b.offset', /overlaps/],
    ['a gap', tensorA(A_DIMS + 20, u64(32n)), 'a.offset', /gap/],
    ['truncated data', smallFile().slice(0, -64), 'b.offset', /truncated/],
    [
      'data after the last tensor',
      Uint8Array.from([...smallFile(), ...new Uint8Array(64)]),
      'header',
      /tensors end/,
    ],
  ])('refuses %s', async (_, bytes, field, description) => {
    const error = await failureOf(bytes);
    expect(error).toMatchObject({ name: 'InvalidGgufError', code: 'INVALID_ARGUMENT' });
    expect(error.fieldViolations).toContainEqual({ field, description: expect.stringMatching(description) });
  });

  it('survives any damage: an AppError, or tensors of the promised size', async () => {
    const good = smallFile();
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(good.length), async (changes, cut) => {
        const bytes = good.slice(0, good.length - (cut % 3 === 0 ? cut : 0));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          const reader = await openGguf(memorySource(new Map([[FILE, bytes]])), FILE);
          for (const name of reader.names) {
            const { shape } = reader.info(name);
            expect((await reader.readF32(name)).length).toBe(
              shape.reduce((product, size) => product * size, 1),
            );
          }
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
        }
      }),
      { numRuns: 500, seed: 7 },
    );
  }, 60_000);
});

describe('loadGguf()', () => {
  let reader: GgufReader;
  beforeAll(async () => {
    const { bytes } = await exported({ type: 'f32' });
    reader = await openGguf(memorySource(new Map([[FILE, bytes]])), FILE);
  });
  const load = async (edit: (metadata: Map<string, GgufValue>) => void) => {
    const metadata = new Map(reader.metadata);
    edit(metadata);
    const plan = planGguf(metadata, new Map(reader.names.map((name) => [name, reader.info(name)])));
    const file = new Uint8Array(plan.sizeBytes);
    file.set(plan.head);
    return loadGguf(memorySource(new Map([[FILE, file]])), FILE);
  };
  const string = (value: string): GgufValue => ({ type: 'string', value });

  it.each<[string, (metadata: Map<string, GgufValue>) => unknown, string, RegExp]>([
    [
      'another architecture',
      (m) => m.set('general.architecture', string('bitnet')),
      'general.architecture',
      /"bitnet"/,
    ],
    [
      'positions scaled by yarn',
      (m) => m.set('llama.rope.scaling.type', string('yarn')),
      'llama.rope.scaling.type',
      /"yarn"/,
    ],
    [
      'experts',
      (m) => m.set('llama.expert_count', { type: 'u32', value: 8 }),
      'llama.expert_count',
      /experts/,
    ],
    ['a missing width', (m) => m.delete('llama.embedding_length'), 'llama.embedding_length', /missing/],
    ['a width that is a text', (m) => m.set('llama.block_count', string('2')), 'llama.block_count', /number/],
    [
      'a width beyond bounds',
      (m) => m.set('llama.block_count', { type: 'u32', value: 2 ** 31 }),
      'llama.block_count',
      /./,
    ],
    [
      'partial RoPE',
      (m) => m.set('llama.rope.dimension_count', { type: 'u32', value: 32 }),
      'llama.rope.dimension_count',
      /must be 128/,
    ],
    [
      'another tokenizer',
      (m) => m.set('tokenizer.ggml.model', string('llama')),
      'tokenizer.ggml.model',
      /"llama"/,
    ],
    [
      'a missing layer',
      (m) => m.set('llama.block_count', { type: 'u32', value: 3 }),
      'blk.2.attn_q.weight',
      /missing/,
    ],
    [
      'a layer too many',
      (m) => m.set('llama.block_count', { type: 'u32', value: 1 }),
      'blk.1.attn_q.weight',
      /not a tensor/,
    ],
    [
      'other widths',
      (m) => m.set('llama.feed_forward_length', { type: 'u32', value: 128 }),
      'blk.0.ffn_up.weight',
      /\[256,256\]/,
    ],
  ])('refuses %s', async (_, edit, field, description) => {
    await expect(load(edit)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: expect.arrayContaining([{ field, description: expect.stringMatching(description) }]),
    });
  });

  it('reads a linear factor under both names, and without its type', async () => {
    for (const key of ['llama.rope.scaling.factor', 'llama.rope.scale_linear']) {
      const loaded = await load((metadata) => metadata.set(key, { type: 'f32', value: Math.fround(2.1) }));
      expect(loaded.config).toEqual({ ...CONFIG, ropeScaling: { type: 'linear', factor: 2.1 } });
      loaded.model.dispose();
    }
  });

  it('takes what other writers leave out', async () => {
    const loaded = await load((metadata) => {
      for (const key of ['llama.attention.key_length', 'llama.attention.value_length', 'llama.vocab_size'])
        metadata.delete(key);
      metadata.set('llama.rope.scaling.type', string('none'));
    });
    expect(loaded.config).toEqual(CONFIG);
    loaded.model.dispose();
  });
});

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  const worst = actual.reduce(
    (max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? Number.NaN))),
    0,
  );
  const largest = Math.max(...expected);
  expect(largest).toBeGreaterThan(1);
  expect(worst / largest).toBeLessThan(tolerance);
}

/** Whether two arrays hold the same bytes. */
function isSame(a: Uint8Array | Float32Array, b: Uint8Array | Float32Array | undefined): boolean {
  const bytes = (x: Uint8Array | Float32Array): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  return b !== undefined && bytes(a).equals(bytes(b));
}
