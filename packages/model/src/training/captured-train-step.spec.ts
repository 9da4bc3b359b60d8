import { AdamW, ArgumentError, decayGroups, Philox } from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import type { TokenBatch } from '../data/batch-cursor.js';
import { LlamaModel } from '../llama/llama-model.js';
import { BatchShapeError, NonFiniteLossError } from '../llama/model.errors.js';
import { captureTrainStep } from './captured-train-step.js';
import { trainStep } from './train-step.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 40,
  hiddenSize: 32,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 16,
});
const SHAPE = { batchSize: 2, length: 8 };

function batchOf(seed: number): TokenBatch {
  const rng = new Philox(seed);
  const draw = () => Int32Array.from({ length: 16 }, () => rng.integer(CONFIG.vocabSize));
  const targets = draw();
  targets[3] = -100;
  return { inputs: draw(), targets, ...SHAPE, bytes: 200 };
}

function setUp(): { model: LlamaModel; optimizer: AdamW } {
  const model = LlamaModel.init(CONFIG, new Philox(1));
  return { model, optimizer: new AdamW(decayGroups(model, 0.1), { lr: 1e-2 }) };
}

describe('captureTrainStep()', () => {
  it.each([
    ['one batch', 1, 'f32'],
    ['three micro-batches', 3, 'f32'],
    ['bf16 products', 1, 'bf16'],
  ] as const)('gives the weights of trainStep(), to the bit: %s', (_, microBatches, precision) => {
    const [plain, captured] = [setUp(), setUp()];
    const step = captureTrainStep(captured.model, captured.optimizer, {
      ...SHAPE,
      microBatches,
      precision,
      clipNorm: 0.7,
    });
    for (let i = 0; i < 5; i++) {
      const batches = Array.from({ length: microBatches }, (_, j) => batchOf(10 * i + j));
      const lr = 1e-2 / (i + 1);
      const expected = trainStep(plain.model, plain.optimizer, batches, { lr, precision, clipNorm: 0.7 });
      expect(step.run(batches, { lr })).toEqual(expected);
    }
    expect(captured.model.exportWeights()).toEqual(plain.model.exportWeights());
    expect(captured.optimizer.exportState()).toEqual(plain.optimizer.exportState());
    step.close();
  });

  it('refuses other shapes, and tokens outside the vocabulary, and changes nothing', () => {
    const { model, optimizer } = setUp();
    const step = captureTrainStep(model, optimizer, SHAPE);
    const before = model.exportWeights();
    expect(() => step.run([batchOf(1), batchOf(2)])).toThrow(
      new BatchShapeError('1 of [2,8]', '[2,8], [2,8]'),
    );
    expect(() => step.run({ ...batchOf(1), length: 16, batchSize: 1 })).toThrow(BatchShapeError);
    const bad = batchOf(1);
    bad.inputs[5] = CONFIG.vocabSize;
    expect(() => step.run(bad)).toThrow(ArgumentError);
    expect(() => step.run(bad)).toThrow('embedding: index 40 at position 5, needs 0 to 39');
    expect([model.exportWeights(), optimizer.stepCount]).toEqual([before, 0]);
    step.run(batchOf(1));
    const other = setUp();
    trainStep(other.model, other.optimizer, batchOf(1));
    expect(model.exportWeights()).toEqual(other.model.exportWeights());
    step.close();
  });

  it('throws NonFiniteLossError and changes nothing when the model diverges', () => {
    const { model, optimizer } = setUp();
    const step = captureTrainStep(model, optimizer, SHAPE);
    for (const [name, parameter] of model.namedParameters()) {
      if (name === 'model.norm.weight') parameter.write(new Float32Array(CONFIG.hiddenSize).fill(Number.NaN));
    }
    const before = model.exportWeights();
    expect(() => step.run(batchOf(1))).toThrow(NonFiniteLossError);
    expect([model.exportWeights(), optimizer.stepCount]).toEqual([before, 0]);
  });
});
