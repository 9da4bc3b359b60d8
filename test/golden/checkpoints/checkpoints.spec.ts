import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import {
  BLOCK_FORMATS,
  type BpeTokenizer,
  directorySource,
  exportGguf,
  GGUF_EXPORT_TYPES,
  type GgmlType,
  LlamaModel,
  loadGguf,
  loadModel,
  openGguf,
  openWeights,
  parameterShapes,
  presetConfig,
  saveModel,
} from '@agentforge/model';
import { noGrad, scope, tensor } from '@agentforge/tensor';
import { hash32 } from '../model/golden-weights.js';

interface Golden {
  readonly ids: number[];
  readonly text: string;
  readonly logits: Record<string, number[]>;
  readonly crcs: Record<string, Record<string, number>>;
  readonly blocks: Record<string, number>;
  readonly decoded: Record<string, number>;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(`${HERE}golden.json`, 'utf8')) as Golden;

/** Uniform in [-1/2, 1/2), the twin of `centred` in make_golden.py. */
function centred(count: number, salt: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (hash32(i, salt) >>> 8) / 2 ** 24 - 0.5);
}

/** Largest difference to the logits of transformers. */
function worstLogit(model: LlamaModel, expected: readonly number[]): number {
  const logits = noGrad(() =>
    scope(() => model.forward(tensor(Int32Array.from(GOLDEN.ids), [1, GOLDEN.ids.length])).toFloat32Array()),
  );
  expect(logits).toHaveLength(expected.length);
  return logits.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? Number.NaN))), 0);
}

describe.each(['hf-tied', 'hf-sharded', 'hf-half'])('a checkpoint of transformers (%s)', (name) => {
  it('gives the same token ids, and logits to 1e-4', async () => {
    const { model, tokenizer } = await loadModel(`${HERE}${name}`);
    expect([...tokenizer.encode(GOLDEN.text)].slice(0, GOLDEN.ids.length)).toEqual(GOLDEN.ids);
    expect(worstLogit(model, GOLDEN.logits[name] ?? [])).toBeLessThan(1e-4);
    model.dispose();
  });

  it('is the same model when saved again in one file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'checkpoint-'));
    try {
      const { config, reader } = await openWeights(directorySource(`${HERE}${name}`));
      const { tokenizer } = await loadModel(`${HERE}${name}`);
      const dtype = reader.info('model.embed_tokens.weight').dtype as 'F32' | 'F16' | 'BF16';
      await saveModel(folder, { config, readF32: (tensorName) => reader.readF32(tensorName) }, tokenizer, { dtype });
      const saved = await openWeights(directorySource(folder));
      expect(saved.config).toEqual(config);
      for (const tensorName of parameterShapes(config).keys()) {
        expect(saved.reader.info(tensorName).dtype).toBe(dtype);
        expect(await saved.reader.readBytes(tensorName)).toEqual(new Uint8Array(await reader.readBytes(tensorName)));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a GGUF file of gguf-py', () => {
  it('gives the logits of transformers to 1e-3', async () => {
    const { model, tokenizer } = await loadGguf(directorySource(HERE), 'ternary.gguf');
    expect([...tokenizer.encode(GOLDEN.text)].slice(0, GOLDEN.ids.length)).toEqual(GOLDEN.ids);
    expect(tokenizer.vocabulary.eosToken).toBe('<|endoftext|>');
    expect(worstLogit(model, GOLDEN.logits['ternary.gguf'] ?? [])).toBeLessThan(1e-3);
    model.dispose();
  });
});

describe('block formats', () => {
  const values = centred(8192, 77).map((value) => Math.fround(0.3) * value);

  it.each(Object.keys(GOLDEN.blocks) as GgmlType[])('%s has the bytes and the values of gguf-py', (type) => {
    const bytes = BLOCK_FORMATS[type].encode(values);
    expect(crc32(bytes)).toBe(GOLDEN.blocks[type]);
    expect(crc32(new Uint8Array(BLOCK_FORMATS[type].decode(bytes).buffer))).toBe(GOLDEN.decoded[type]);
  });
});

describe('exportGguf()', () => {
  const config = presetConfig('pico', {
    vocabSize: 288,
    hiddenSize: 256,
    numLayers: 1,
    numHeads: 2,
    numKvHeads: 1,
    headDim: 128,
    intermediateSize: 256,
    contextLength: 64,
  });
  /** The twin of `ternary_model` in make_golden.py. */
  const readF32 = (name: string): Float32Array => {
    const shapes = [...parameterShapes(config)];
    const salt = shapes.findIndex(([key]) => key === name);
    const shape = shapes[salt]?.[1] ?? [];
    const count = shape.reduce((product, size) => product * size, 1);
    if (shape.length === 1) return centred(count, salt).map((value) => 1 + Math.fround(0.5) * value);
    if (salt === 0) return centred(count, salt);
    return Float32Array.from({ length: count }, (_, i) => 0.0625 * ((hash32(i, salt) % 3) - 1));
  };
  let folder: string;
  let tokenizer: BpeTokenizer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gguf-'));
    ({ tokenizer } = await loadModel(`${HERE}hf-tied`));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each(GGUF_EXPORT_TYPES.filter((type) => type !== 'f32'))(
    'writes the tensors that gguf-py quantises, in its order of rows (%s)',
    async (type) => {
      const file = `${type}.gguf`;
      await exportGguf(join(folder, file), { config, readF32 }, tokenizer, { type });
      const reader = await openGguf(directorySource(folder), file);
      const found: Record<string, number> = {};
      for (const name of reader.names) found[name] = crc32(await reader.readBytes(name));
      expect(found).toEqual(GOLDEN.crcs[type]);
    },
  );
});
