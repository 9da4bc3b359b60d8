import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Philox } from '@agentforge/tensor';
import { toHfConfig } from '../config/hf-config.js';
import { presetConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { LlamaModel } from '../llama/llama-model.js';
import { encodeSafetensors } from '../safetensors/writer.js';
import { trainBpe } from '../tokenizer/bpe-trainer.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { memorySource } from './file-source.js';
import {
  encodeModelFiles,
  loadModel,
  loadModelFiles,
  openWeights,
  saveModel,
  WEIGHTS_FILE,
} from './model-files.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 300,
  hiddenSize: 16,
  numLayers: 1,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  contextLength: 32,
});
const tokenizer = trainBpe(['to be or not to be'.repeat(3)], { vocabSize: 270 });
const model = LlamaModel.init(CONFIG, new Philox(1));
const FILES = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];

/** The files with some replaced (bytes, JSON) or removed (null). */
function withFiles(changes: Record<string, Uint8Array | object | string | null>): Map<string, Uint8Array> {
  const files = encodeModelFiles(model, tokenizer);
  for (const [name, change] of Object.entries(changes)) {
    if (change === null) files.delete(name);
    else if (change instanceof Uint8Array) files.set(name, change);
    else
      files.set(name, new TextEncoder().encode(typeof change === 'string' ? change : JSON.stringify(change)));
  }
  return files;
}

/** A weights file with tensors changed by `edit`. */
function weightsWith(
  edit: (tensors: Map<string, { shape: readonly number[]; data: Float32Array }>) => void,
): Uint8Array {
  const weights = model.exportWeights();
  const tensors = new Map(
    [...parameterShapes(CONFIG)].map(([name, shape]) => [
      name,
      { shape, data: weights.get(name) ?? new Float32Array(0) },
    ]),
  );
  edit(tensors);
  return encodeSafetensors(tensors);
}

describe('encodeModelFiles()', () => {
  it('gives the five files, the same bytes each time, from a model or from its weights', () => {
    const files = encodeModelFiles(model, tokenizer);
    expect([...files.keys()].sort()).toEqual(FILES);
    expect(encodeModelFiles(model.clone(), tokenizer)).toEqual(files);
    expect(encodeModelFiles({ config: CONFIG, weights: model.exportWeights() }, tokenizer)).toEqual(files);
  });

  it('refuses a tokenizer with more ids than embeddings, and missing weights', () => {
    const small = { config: { ...CONFIG, vocabSize: 256 }, weights: model.exportWeights() };
    expect(() => encodeModelFiles(small, byteTokenizer())).toThrow(/257 ids.*256 embeddings/);
    expect(() => encodeModelFiles({ config: CONFIG, weights: new Map() }, tokenizer)).toThrow(
      expect.objectContaining({ name: 'WeightsMismatchError' }),
    );
  });
});

describe('loadModelFiles()', () => {
  it('gives back configuration, weights and tokenizer', async () => {
    const loaded = await loadModelFiles(memorySource(withFiles({})));
    expect(loaded.config).toEqual(CONFIG);
    expect(loaded.model.exportWeights()).toEqual(model.exportWeights());
    expect(loaded.tokenizer.encode('to be')).toEqual(tokenizer.encode('to be'));
    loaded.model.dispose();
  });

  it('ignores copies and buffers that other writers leave in', async () => {
    const bytes = weightsWith((tensors) => {
      tensors.set('lm_head.weight', { shape: [300, 16], data: new Float32Array(4800) });
      tensors.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [4], data: new Float32Array(4) });
    });
    const loaded = await loadModelFiles(memorySource(withFiles({ [WEIGHTS_FILE]: bytes })));
    expect(loaded.model.exportWeights()).toEqual(model.exportWeights());
    loaded.model.dispose();
  });

  it.each<[string, Record<string, Uint8Array | object | string | null>, object]>([
    ['a missing config', { 'config.json': null }, { name: 'ModelFileMissingError', code: 'NOT_FOUND' }],
    ['missing weights', { [WEIGHTS_FILE]: null }, { name: 'ModelFileMissingError' }],
    ['a missing tokenizer', { 'tokenizer.json': null }, { name: 'ModelFileMissingError' }],
    ['a config that is not JSON', { 'config.json': '{' }, { name: 'MalformedModelFileError' }],
    ['another architecture', { 'config.json': { model_type: 'bert' } }, { name: 'InvalidModelConfigError' }],
    [
      'truncated weights',
      { [WEIGHTS_FILE]: encodeModelFiles(model, tokenizer).get(WEIGHTS_FILE)?.slice(0, -1) ?? null },
      { name: 'InvalidSafetensorsError' },
    ],
    [
      'a tokenizer that is too large',
      {
        'config.json': toHfConfig({ ...CONFIG, vocabSize: 200 }),
        [WEIGHTS_FILE]: weightsWith((tensors) =>
          tensors.set('model.embed_tokens.weight', { shape: [200, 16], data: new Float32Array(3200) }),
        ),
      },
      { name: 'TokenizerTooLargeError' },
    ],
  ])('refuses %s', async (_, changes, error) => {
    await expect(loadModelFiles(memorySource(withFiles(changes)))).rejects.toMatchObject(error);
  });

  it('lists every tensor that does not fit the configuration', async () => {
    const bytes = weightsWith((tensors) => {
      tensors.delete('model.norm.weight');
      tensors.set('model.layers.0.mlp.up_proj.weight', { shape: [16, 24], data: new Float32Array(384) });
      tensors.set('model.layers.1.mlp.up_proj.weight', { shape: [24, 16], data: new Float32Array(384) });
    });
    await expect(loadModelFiles(memorySource(withFiles({ [WEIGHTS_FILE]: bytes })))).rejects.toMatchObject({
      name: 'WeightsMismatchError',
      fieldViolations: [
        {
          field: 'model.layers.0.mlp.up_proj.weight',
          description: 'has shape [16,24], the configuration gives [24,16]',
        },
        { field: 'model.norm.weight', description: 'is missing' },
        { field: 'model.layers.1.mlp.up_proj.weight', description: 'is not a parameter of this model' },
      ],
    });
  });

  it('openWeights() gives single tensors of a checked file', async () => {
    const { config, reader } = await openWeights(memorySource(withFiles({})));
    expect(config).toEqual(CONFIG);
    expect(await reader.readF32('model.norm.weight')).toEqual(new Float32Array(16).fill(1));
  });
});

describe('saveModel()', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'model-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('writes a folder that loadModel() reads, over an older one', async () => {
    const target = join(directory, 'new', 'model');
    await saveModel(target, LlamaModel.init(CONFIG, new Philox(2)), byteTokenizer());
    await saveModel(target, model, tokenizer);
    expect((await readdir(target)).sort()).toEqual(FILES);
    const loaded = await loadModel(target);
    expect(loaded.model.exportWeights()).toEqual(model.exportWeights());
    loaded.model.dispose();
  });

  it('leaves nothing behind when it fails', async () => {
    const target = join(directory, 'file');
    await writeFile(target, 'in the way');
    await expect(saveModel(target, model, tokenizer)).rejects.toThrow();
    expect(await readFile(target, 'utf8')).toBe('in the way');
    expect(await readdir(directory)).toEqual(['file']);
  });
});
