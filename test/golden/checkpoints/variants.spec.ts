import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  byteTokenizer,
  directorySource,
  exportGguf,
  fromHfConfig,
  KvCache,
  LlamaModel,
  loadConfig,
  openGgufModel,
  parameterShapes,
  ropeFactors,
  saveModel,
  toHfConfig,
} from '@agentforge/model';
import { backward, noGrad, scope, type Tensor, tensor, zeroGrad } from '@agentforge/tensor';
import { hash32 } from '../model/golden-weights.js';

interface Variant {
  readonly config: unknown;
  readonly factors: number[];
  readonly logits: number[];
  readonly grads: Record<string, number[]>;
}

const FILE = fileURLToPath(new URL('variants.json', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(FILE, 'utf8')) as {
  readonly ids: number[];
  readonly models: Record<string, Variant>;
};
const IDS = Int32Array.from(GOLDEN.ids);

/** The twin of the weights in make_variants.py. */
function goldenModel(json: unknown): LlamaModel {
  const config = fromHfConfig(json);
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of parameterShapes(config)) {
    const salt = weights.size;
    const centred = (i: number): number => (hash32(i, salt) >>> 8) / 2 ** 24 - 0.5;
    const count = shape.reduce((product, size) => product * size, 1);
    const isGain = name.endsWith('norm.weight');
    weights.set(name, Float32Array.from({ length: count }, (_, i) => (isGain ? 1 + 0.5 * centred(i) : centred(i))));
  }
  return LlamaModel.fromState(config, weights);
}

function worst(found: Float32Array, expected: readonly number[]): number {
  expect(found).toHaveLength(expected.length);
  return found.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? Number.NaN))), 0);
}

/** Logits of the last four of all positions. */
function lastLogits(model: LlamaModel): Float32Array {
  return noGrad(() =>
    scope(() => model.forward(tensor(IDS, [1, IDS.length])).toFloat32Array().slice(-4 * model.config.vocabSize)),
  );
}

describe.each(Object.entries(GOLDEN.models))('a llama of transformers (%s)', (name, golden) => {
  let model: LlamaModel;
  beforeAll(() => {
    model = goldenModel(golden.config);
  });
  afterAll(() => model.dispose());

  it('divides the angles by the same factors', () => {
    const factors = ropeFactors(model.config);
    const all = factors.length === 0 ? golden.factors.map(() => 1) : factors;
    // Theirs come from quotients of f32.
    all.forEach((factor, i) => {
      expect(Math.abs(factor / (golden.factors[i] ?? 0) - 1)).toBeLessThan(1e-5);
    });
    expect(factors.length > 0).toBe(golden.factors.some((factor) => factor !== 1));
  });

  it('gives its logits to 1e-4 after 160 tokens, with and without a cache', () => {
    expect(worst(lastLogits(model), golden.logits)).toBeLessThan(1e-4);
    const cache = new KvCache(model.config);
    const cached: number[] = [];
    const run = (ids: Int32Array): Float32Array =>
      noGrad(() => scope(() => model.forward(tensor(ids, [1, ids.length]), { cache }).toFloat32Array()));
    run(IDS.slice(0, -4));
    for (const id of IDS.slice(-4)) cached.push(...run(Int32Array.of(id)));
    // One row and many are multiplied by different kernels, whose f32 sums round differently.
    expect(worst(Float32Array.from(cached), golden.logits)).toBeLessThan(5e-4);
    cache.dispose();
  });

  it('has its gradients to 1e-4 of the largest', () => {
    const parameters = model.namedParameters();
    scope(() => {
      const length = IDS.length - 1;
      backward(model.loss(tensor(IDS.slice(0, -1), [1, length]), tensor(IDS.slice(1), [1, length])));
    });
    for (const [parameter, expected] of Object.entries(golden.grads)) {
      const found = (parameters.get(parameter)?.grad as Tensor).toFloat32Array();
      expect(worst(found, expected)).toBeLessThan(1e-4 * Math.max(...expected.map(Math.abs)));
    }
    zeroGrad([...parameters.values()]);
  });

  it('is the same model in a folder and in a GGUF file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'variant-'));
    try {
      const wide = { ...(golden.config as object), vocab_size: 257 };
      const source = goldenModel(wide);
      await saveModel(folder, source, byteTokenizer());
      expect(await loadConfig(directorySource(folder))).toEqual(source.config);
      await exportGguf(join(folder, 'f32.gguf'), source, byteTokenizer(), { type: 'f32' });
      const { config, reader, readF32 } = await openGgufModel(directorySource(folder), 'f32.gguf');
      expect(reader.has('rope_freqs.weight')).toBe(['llama3', 'factors', 'all'].includes(name));
      expect(reader.has('blk.0.attn_output.bias')).toBe(['attention-bias', 'all'].includes(name));
      expect(reader.has('blk.1.ffn_up.bias')).toBe(['mlp-bias', 'all'].includes(name));
      const weights = new Map<string, Float32Array>();
      for (const parameter of parameterShapes(config).keys()) weights.set(parameter, await readF32(parameter));
      const loaded = LlamaModel.fromState(config, weights);
      // The factors were rounded to f32.
      expect(worst(lastLogits(loaded), [...lastLogits(source)])).toBeLessThan(1e-4);
      expect(loaded.exportWeights()).toEqual(source.exportWeights());
      for (const each of [source, loaded]) each.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('has a config.json that gives the same configuration again', () => {
    const { config } = model;
    expect(fromHfConfig(JSON.parse(JSON.stringify(toHfConfig(config))))).toEqual(config);
  });
});
