import { AdamW, decayGroups, memoryStats, Philox } from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import type { TokenBatch } from '../data/batch-cursor.js';
import { LlamaModel } from '../llama/llama-model.js';
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

function batchOf(rows: number, seed: number): TokenBatch {
  const rng = new Philox(seed);
  const draw = () => Int32Array.from({ length: rows * 8 }, () => rng.integer(CONFIG.vocabSize));
  return { inputs: draw(), targets: draw(), batchSize: rows, length: 8, bytes: 100 * rows };
}

function setUp(): { model: LlamaModel; optimizer: AdamW } {
  const model = LlamaModel.init(CONFIG, new Philox(1));
  return { model, optimizer: new AdamW(decayGroups(model, 0.1), { lr: 1e-2 }) };
}

/** Rows of two batches in one. */
function joined(a: TokenBatch, b: TokenBatch): TokenBatch {
  return {
    inputs: Int32Array.of(...a.inputs, ...b.inputs),
    targets: Int32Array.of(...a.targets, ...b.targets),
    batchSize: a.batchSize + b.batchSize,
    length: a.length,
    bytes: a.bytes + b.bytes,
  };
}

describe('trainStep()', () => {
  it('learns one batch by heart', () => {
    const { model, optimizer } = setUp();
    // One row: rows that begin with the same token could not both be learnt.
    const batch = batchOf(1, 1);
    let last = Number.POSITIVE_INFINITY;
    for (let step = 0; step < 150; step++) last = trainStep(model, optimizer, batch, { lr: 5e-3 }).loss;
    expect(last).toBeLessThan(0.01);
  });

  it('learns alike with bf16 products, from f32 weights that take every step', () => {
    const curve = (precision: 'f32' | 'bf16') => {
      const { model, optimizer } = setUp();
      return Array.from({ length: 30 }, () => trainStep(model, optimizer, batchOf(4, 1), { precision }).loss);
    };
    const [exact, mixed] = [curve('f32'), curve('bf16')];
    expect(mixed).not.toEqual(exact);
    // bf16 keeps 8 significant bits: 2⁻⁹ relative per operand, averaged over sums of 32 and more products.
    mixed.forEach((loss, i) => {
      expect(Math.abs(loss - (exact[i] as number))).toBeLessThan(0.02);
    });
    expect(mixed.at(-1)).toBeLessThan((mixed[0] as number) - 1);
  });

  it('gives the same weights, to the bit, when run again', () => {
    const run = () => {
      const { model, optimizer } = setUp();
      for (let step = 0; step < 3; step++) trainStep(model, optimizer, batchOf(2, step));
      return model.exportWeights();
    };
    expect(run()).toEqual(run());
  });

  it('accumulates micro-batches to the gradient of the joint batch', () => {
    const [a, b] = [batchOf(2, 1), batchOf(2, 2)];
    const whole = setUp();
    const parts = setUp();
    const one = trainStep(whole.model, whole.optimizer, joined(a, b));
    const two = trainStep(parts.model, parts.optimizer, [a, b]);
    expect(two.loss).toBeCloseTo(one.loss, 5);
    expect(two.gradNorm).toBeCloseTo(one.gradNorm, 4);
    expect([two.tokens, two.bytes]).toEqual([32, 400]);
  });

  it('clips, takes the given learning rate and lets gradients be changed first', () => {
    const { model, optimizer } = setUp();
    const before = model.exportWeights();
    let calls = 0;
    const { gradNorm } = trainStep(model, optimizer, batchOf(2, 1), {
      lr: 0,
      clipNorm: 1e-3,
      beforeClip: () => calls++,
    });
    expect(gradNorm).toBeGreaterThan(1e-3);
    expect(calls).toBe(1);
    expect(model.exportWeights()).toEqual(before);
  });

  it('throws NonFiniteLossError and changes nothing when the model diverges', () => {
    const { model, optimizer } = setUp();
    const weights = model.exportWeights();
    weights.get('model.norm.weight')?.fill(Number.NaN);
    for (const [name, parameter] of model.namedParameters())
      parameter.write(weights.get(name) ?? new Float32Array(0));
    expect(() => trainStep(model, optimizer, batchOf(2, 1))).toThrow(
      expect.objectContaining({ name: 'NonFiniteLossError', code: 'ABORTED' }),
    );
    expect(model.exportWeights()).toEqual(weights);
    expect(optimizer.stepCount).toBe(0);
  });

  it('holds no more memory after many steps than after two', () => {
    const { model, optimizer } = setUp();
    const live = (): number => memoryStats().liveTensors;
    trainStep(model, optimizer, batchOf(2, 1));
    trainStep(model, optimizer, batchOf(2, 1));
    const before = live();
    for (let step = 0; step < 5; step++) trainStep(model, optimizer, batchOf(2, step));
    expect(live()).toBe(before);
  });
});
