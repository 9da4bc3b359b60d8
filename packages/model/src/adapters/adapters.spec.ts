import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AdamW,
  decayGroups,
  memoryStats,
  noGrad,
  Philox,
  type PhiloxState,
  scope,
  tensor,
} from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import { directorySource, memorySource } from '../files/file-source.js';
import { encodeModelFiles, loadModel, saveModel } from '../files/model-files.js';
import { exportGguf } from '../gguf/export-gguf.js';
import { loadGguf } from '../gguf/import-gguf.js';
import { LlamaModel } from '../llama/llama-model.js';
import { encodeSafetensors } from '../safetensors/writer.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { trainStep } from '../training/train-step.js';
import { lambdaWarmup, toBitNet } from './bitnet.js';
import { addLora, removeLora } from './lora.js';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, loadLora, saveLora } from './peft-files.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 256,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 128,
  intermediateSize: 256,
  contextLength: 32,
});
const SMALL = { ...CONFIG, hiddenSize: 16, headDim: 8, intermediateSize: 24 };
const IDS = Int32Array.from({ length: 17 }, (_, i) => (i * 53 + 7) % 257);
const BATCH = { inputs: IDS.slice(0, 16), targets: IDS.slice(1), batchSize: 1, length: 16, bytes: 16 };

let model: LlamaModel;
beforeEach(() => {
  model = LlamaModel.init(SMALL, new Philox(1));
});
afterEach(() => model.dispose());

const logitsOf = (of: LlamaModel): Float32Array =>
  noGrad(() => scope(() => of.forward(tensor(BATCH.inputs, [1, 16])).toFloat32Array()));

/** Trains all trainable parameters for some steps; returns first and last loss. */
function train(steps: number): [number, number] {
  const optimizer = new AdamW(decayGroups(model, 0), { lr: 0.03 });
  const losses = Array.from({ length: steps }, () => trainStep(model, optimizer, BATCH).loss);
  optimizer.dispose();
  return [losses[0] ?? 0, losses.at(-1) ?? 0];
}

describe('addLora()', () => {
  it('changes nothing at first; then training changes the adapter alone', () => {
    const [before, weights] = [logitsOf(model), model.exportWeights()];
    const adapter = addLora(model, { rank: 2 }, new Philox(3));
    expect(adapter.layers.size).toBe(14);
    expect(adapter.parameterCount()).toBe(
      [...adapter.namedParameters().values()].reduce((sum, { size }) => sum + size, 0),
    );
    expect(logitsOf(model)).toEqual(before);
    const [first, last] = train(20);
    // The frozen output projection of an untrained model leaves an adapter little to gain.
    expect(last).toBeLessThan(0.97 * first);
    expect(adapter.withoutAdapter(() => model.exportWeights())).toEqual(weights);
    expect(logitsOf(model)).not.toEqual(before);
    expect(adapter.withoutAdapter(() => logitsOf(model))).toEqual(before);
  });

  it('draws every matrix from a stream of its own, uniform in ±1/√I', () => {
    const adapter = addLora(model, { rank: 4, targets: ['q_proj', 'up_proj'] }, new Philox(3));
    const other = LlamaModel.init(SMALL, new Philox(1));
    const more = addLora(other, { rank: 4 }, new Philox(3));
    for (const [name, x] of adapter.namedParameters()) {
      const values = x.toFloat32Array();
      expect(more.namedParameters().get(name)?.toFloat32Array()).toEqual(values);
      if (name.endsWith('lora_B.weight')) expect(values.every((value) => value === 0)).toBe(true);
      else {
        const largest = Math.max(...values.map(Math.abs));
        expect(largest).toBeLessThanOrEqual(1 / Math.sqrt(16));
        expect(largest).toBeGreaterThan(0.8 / Math.sqrt(16));
      }
    }
    other.dispose();
  });

  it('can be taken out again, to the bit, or left in the weights; nothing stays behind', () => {
    const [before, weights] = [logitsOf(model), model.exportWeights()];
    const tensors = memoryStats().liveTensors;
    removeLora(model, addLora(model, { rank: 2 }, new Philox(3)));
    expect(memoryStats().liveTensors).toBe(tensors);
    expect(model.exportWeights()).toEqual(weights);
    expect(model.trainableParameters()).toHaveLength(weights.size);
    const adapter = addLora(model, { rank: 2 }, new Philox(3));
    train(5);
    const trained = logitsOf(model);
    adapter.merge();
    removeLora(model, adapter, { keep: true });
    logitsOf(model).forEach((logit, i) => {
      expect(Math.abs(logit - (trained[i] ?? 9))).toBeLessThan(1e-4);
    });
    expect(logitsOf(model)).not.toEqual(before);
    expect([...model.namedParameters().keys()].sort()).toEqual([...weights.keys()].sort());
  });

  it('drops the same elements for the same seed in training, and none otherwise', () => {
    const losses = (dropout: number | undefined, seed: number): number[] => {
      const copy = LlamaModel.init(SMALL, new Philox(1));
      const config = dropout === undefined ? { rank: 2 } : { rank: 2, dropout };
      addLora(copy, config, new Philox(seed));
      const optimizer = new AdamW(decayGroups(copy, 0), { lr: 0.03 });
      const all = Array.from({ length: 4 }, () => trainStep(copy, optimizer, BATCH).loss);
      expect(logitsOf(copy)).toEqual(logitsOf(copy));
      for (const each of [optimizer, copy]) each.dispose();
      return all;
    };
    expect(losses(0.5, 3)).toEqual(losses(0.5, 3));
    expect(losses(0.5, 3)).not.toEqual(losses(0.5, 4));
    expect(losses(0.5, 3)).not.toEqual(losses(0, 3));
    expect(losses(0, 3)).toEqual(losses(undefined, 3));
  });

  it('goes on with the masks that came next, in another process too', () => {
    const steps = (of: LlamaModel, count: number): number[] => {
      const still = new AdamW(decayGroups(of, 0), { lr: 0 });
      const losses = Array.from({ length: count }, () => trainStep(of, still, BATCH).loss);
      still.dispose();
      return losses;
    };
    const adapter = addLora(model, { rank: 2, dropout: 0.5 }, new Philox(3));
    // B is zero at first, and with it everything that dropout could change.
    for (const layer of adapter.layers.values())
      layer.lora_B.weight.write(layer.lora_B.weight.toFloat32Array().fill(0.5));
    steps(model, 2);
    const states = adapter.dropoutStates();
    const undisturbed = steps(model, 2);
    const stale = steps(model, 2);
    adapter.restoreDropout(new Map(JSON.parse(JSON.stringify([...states]))));
    expect(steps(model, 2)).toEqual(undisturbed);
    expect(stale).not.toEqual(undisturbed);
    const [[first, state]] = states as unknown as [[string, PhiloxState]];
    expect(() => adapter.restoreDropout(new Map([['elsewhere', state]]))).toThrow(
      expect.objectContaining({
        fieldViolations: expect.arrayContaining([
          { field: first, description: 'has no state' },
          { field: 'elsewhere', description: 'has no dropout' },
        ]),
      }),
    );
  });

  it('is not left out without a word where the weights are copied or written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'adapter-'));
    const adapter = addLora(model, { rank: 2 }, new Philox(3));
    train(3);
    const tokenizer = byteTokenizer();
    const [saved, file] = [join(folder, 'model'), join(folder, 'model.gguf')];
    const writers: (() => unknown)[] = [
      () => model.exportWeights(),
      () => model.clone(),
      () => encodeModelFiles(model, tokenizer),
      () => saveModel(saved, model, tokenizer),
      () => exportGguf(file, model, tokenizer, { type: 'f32' }),
    ];
    try {
      for (const write of writers) {
        await expect((async () => write())()).rejects.toMatchObject({
          name: 'UnmergedAdapterError',
          code: 'FAILED_PRECONDITION',
          message: expect.stringMatching(
            /layers\.0\.self_attn\.q_proj and 13 more.*adapter\.merge\(\).*saveLora\(\)/,
          ),
        });
      }
      expect(await readdir(folder)).toEqual([]);
      const trained = logitsOf(model);
      adapter.merge();
      for (const write of writers) await write();
      const loaded = [await loadModel(saved), await loadGguf(directorySource(folder), 'model.gguf')];
      for (const { model: again } of loaded) {
        // Merged, the same sums are taken in another order.
        logitsOf(again).forEach((logit, i) => {
          expect(Math.abs(logit - (trained[i] ?? 9))).toBeLessThan(1e-4);
        });
        again.dispose();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('and ternary layers do not take the place of each other', () => {
    const adapter = addLora(model, { rank: 2, targets: ['q_proj'] }, new Philox(3));
    expect(() => toBitNet(model)).toThrow(expect.objectContaining({ name: 'UnmergedAdapterError' }));
    expect([...model.namedParameters().keys()]).toEqual(
      expect.arrayContaining([...adapter.namedParameters().keys()]),
    );
    removeLora(model, adapter);
    const { layers } = toBitNet(model, ['q_proj']);
    expect(() => addLora(model, { rank: 2 }, new Philox(3))).toThrow(
      'has ternary layers, such as model.layers.0.self_attn.q_proj',
    );
    expect([...model.namedModules().values()]).toEqual(expect.arrayContaining([...layers.values()]));
    expect(addLora(model, { rank: 2, targets: ['up_proj'] }, new Philox(3)).layers.size).toBe(2);
  });

  it('lists everything that is wrong, and leaves the model alone', () => {
    const config = { rank: 0, alpha: -1, dropout: 1, targets: ['lm_head'] as unknown as ['q_proj'] };
    addLora(model, { rank: 1 }, new Philox(1));
    expect(() => addLora(model, config, new Philox(1))).toThrow(
      expect.objectContaining({
        name: 'InvalidAdapterError',
        fieldViolations: ['rank', 'alpha', 'dropout', 'targets', 'model'].map((field) =>
          expect.objectContaining({ field }),
        ),
      }),
    );
  });
});

describe('saveLora() and loadLora()', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adapter-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('give the adapter back, on another copy of the model', async () => {
    const copy = model.clone();
    const adapter = addLora(
      model,
      { rank: 3, alpha: 7, dropout: 0.1, targets: ['o_proj', 'down_proj'] },
      new Philox(3),
    );
    train(5);
    await saveLora(folder, adapter);
    expect((await readdir(folder)).sort()).toEqual([ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE]);
    const loaded = await loadLora(copy, directorySource(folder));
    expect([loaded.rank, loaded.alpha, loaded.dropout]).toEqual([3, 7, 0.1]);
    expect([...loaded.targets].sort()).toEqual(['down_proj', 'o_proj']);
    expect(logitsOf(copy)).toEqual(logitsOf(model));
    copy.dispose();
  });

  const CONFIG_JSON = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'] };
  const files = (config: unknown, tensors: Record<string, number[]>) =>
    memorySource(
      new Map([
        [
          ADAPTER_CONFIG_FILE,
          new TextEncoder().encode(typeof config === 'string' ? config : JSON.stringify(config)),
        ],
        [
          ADAPTER_WEIGHTS_FILE,
          encodeSafetensors(
            new Map(
              Object.entries(tensors).map(([name, shape]) => [
                name,
                { shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) },
              ]),
            ),
          ),
        ],
      ]),
    );

  it('refuse, by field, what changes the computation in a way this adapter does not have', async () => {
    const config = {
      ...CONFIG_JSON,
      peft_type: 'IA3',
      use_dora: true,
      use_rslora: true,
      bias: 'all',
      target_modules: 'q_.*',
      modules_to_save: ['lm_head'],
      rank_pattern: { q_proj: 8 },
      layers_to_transform: [0],
    };
    await expect(loadLora(model, files(config, {}))).rejects.toMatchObject({
      name: 'InvalidAdapterError',
      fieldViolations: expect.arrayContaining(
        Object.keys(config)
          .filter((field) => !['r', 'lora_alpha'].includes(field))
          .map((field) => expect.objectContaining({ field: expect.stringMatching(field) })),
      ),
    });
    await expect(loadLora(model, files('{', {}))).rejects.toMatchObject({ name: 'MalformedModelFileError' });
    await expect(loadLora(model, memorySource(new Map()))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('refuse every tensor that does not fit, and leave the model as it was', async () => {
    const [weights, tensors] = [model.exportWeights(), memoryStats().liveTensors];
    const name = (layer: number, part: string) =>
      `base_model.model.model.layers.${layer}.self_attn.q_proj.${part}.weight`;
    const source = files(CONFIG_JSON, {
      [name(0, 'lora_A')]: [3, 16],
      [name(0, 'lora_B')]: [16, 2],
      [name(1, 'lora_A')]: [2, 16],
      extra: [1],
    });
    await expect(loadLora(model, source)).rejects.toMatchObject({
      fieldViolations: [
        { field: name(0, 'lora_A'), description: 'has shape [3,16], the model needs [2,16]' },
        { field: name(1, 'lora_B'), description: 'is missing' },
        { field: 'extra', description: 'is not a part of this adapter' },
      ],
    });
    expect(model.exportWeights()).toEqual(weights);
    expect(memoryStats().liveTensors).toBe(tensors);
    expect(model.trainableParameters()).toHaveLength(weights.size);
  });
});

describe('toBitNet()', () => {
  it('trains, and keeps embedding and norms as they are', () => {
    const ternary = toBitNet(model);
    expect(ternary.layers.size).toBe(14);
    const [first, last] = train(30);
    expect(last).toBeLessThan(0.9 * first);
    const weights = model.exportWeights();
    for (const [name, values] of ternary.ternaryWeights()) {
      expect(new Set(values.map(Math.abs)).size).toBeLessThanOrEqual(2);
      expect(values).not.toEqual(weights.get(name));
    }
  });

  it('exports to a ternary GGUF file that computes the same when it is read again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bitnet-'));
    const wide = LlamaModel.init(CONFIG, new Philox(2));
    try {
      const ternary = toBitNet(wide);
      ternary.pack();
      const expected = logitsOf(wide);
      const settings = { type: 'tq2_0', embeddingType: 'f32', name: 'b' } as const;
      const report = await exportGguf(join(folder, 'b.gguf'), wide, byteTokenizer(), settings);
      expect(report.tensors.filter(({ wasTernarized }) => wasTernarized)).toEqual([]);
      const loaded = await loadGguf(directorySource(folder), 'b.gguf');
      toBitNet(loaded.model).pack();
      // Packed weights are written as they are: rounded again, their scale would shrink by the share of zeros.
      const again = await exportGguf(join(folder, 'c.gguf'), loaded.model, byteTokenizer(), settings);
      expect(again.sha256).toBe(report.sha256);
      const largest = Math.max(...expected.map(Math.abs));
      // Only the scale of each matrix was rounded, to f16: 2^-11, in every layer.
      const worst = logitsOf(loaded.model).reduce(
        (max, logit, i) => Math.max(max, Math.abs(logit - (expected[i] ?? 9))),
        0,
      );
      expect(worst / largest).toBeLessThan(0.01);
      loaded.model.dispose();
    } finally {
      wide.dispose();
      await rm(folder, { recursive: true });
    }
  });

  it.each<['f32' | 'f16' | 'q8_0', number, boolean]>([
    ['f32', 1, true],
    ['f32', 1, false],
    ['f32', 0.5, false],
    ['f16', 1, false],
    ['q8_0', 1, false],
  ])('exports to %s what it computes with, at lambda %d, packed: %s', async (type, lambda, isPacked) => {
    const folder = await mkdtemp(join(tmpdir(), 'bitnet-'));
    const config = { ...SMALL, hiddenSize: 32, headDim: 16, intermediateSize: 64 };
    const wide = LlamaModel.init(config, new Philox(2));
    try {
      const ternary = toBitNet(wide);
      const name = 'model.layers.1.mlp.up_proj';
      const layer = ternary.layers.get(name);
      ternary.setLambda(lambda);
      if (isPacked) ternary.pack();
      const trained = wide.exportWeights().get(`${name}.weight`) ?? new Float32Array(0);
      const rounded = ternary.ternaryWeights().get(`${name}.weight`) ?? new Float32Array(0);
      await exportGguf(join(folder, 'b.gguf'), wide, byteTokenizer(), { type });
      const { model: read } = await loadGguf(directorySource(folder), 'b.gguf');
      const written = read.exportWeights();
      expect(layer?.weight.toFloat32Array()).toEqual(trained);
      expect(written.get(`${name}.weight`)).toHaveLength(trained.length);
      written.get(`${name}.weight`)?.forEach((value, i) => {
        const [from = 9, to = 9] = [trained[i], rounded[i]];
        const computed = from + lambda * (to - from);
        // A ternary value is the largest of its block or 0: F16 and the scale of Q8_0 round it to 11 bits.
        const lost = type === 'f32' ? 1e-8 : 2 ** -11 * Math.abs(computed);
        expect(Math.abs(value - computed)).toBeLessThanOrEqual(lost);
      });
      const embedding = 'model.embed_tokens.weight';
      if (type === 'f32') expect(written.get(embedding)).toEqual(wide.exportWeights().get(embedding));
      read.dispose();
    } finally {
      wide.dispose();
      await rm(folder, { recursive: true });
    }
  });

  it('is saved as the weights that it trains', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bitnet-'));
    try {
      toBitNet(model);
      train(3);
      await saveModel(folder, model, byteTokenizer());
      const { model: loaded } = await loadModel(folder);
      expect(loaded.exportWeights()).toEqual(model.exportWeights());
      expect(logitsOf(loaded)).not.toEqual(logitsOf(model));
      toBitNet(loaded);
      expect(logitsOf(loaded)).toEqual(logitsOf(model));
      loaded.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('lambdaWarmup() rises to one', () => {
    const lambda = lambdaWarmup(4);
    expect([0, 1, 2, 4, 9].map(lambda)).toEqual([0, 0.25, 0.5, 1, 1]);
    expect(lambdaWarmup(0)(0)).toBe(1);
  });
});
