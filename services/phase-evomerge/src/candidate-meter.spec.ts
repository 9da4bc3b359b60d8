import { byteTokenizer, encodeSplit, LlamaModel, presetConfig, titansMag } from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { CandidateMeter } from './candidate-meter.js';
import { evomergeConfig } from './domain/evomerge-config.js';
import { fitnessOf } from './domain/fitness.js';
import type { Weights } from './domain/layout.js';

const SHAPE = titansMag(
  presetConfig('pico', {
    ...{ vocabSize: 257, hiddenSize: 16, numLayers: 1, numHeads: 2, numKvHeads: 2, headDim: 8 },
    ...{ intermediateSize: 32, contextLength: 32 },
  }),
);

describe('CandidateMeter', () => {
  const config = evomergeConfig.parse({ sequence_length: 16, batch_size: 2 });
  const meter = new CandidateMeter(SHAPE, { config, throwIfAborted: () => {} });
  const stream = encodeSplit(byteTokenizer(), {
    documents: ['The keeper counted the lamps of the harbour.'],
  });
  const model = LlamaModel.init(SHAPE, new Philox(1));
  const weights: Weights = model.exportWeights();
  model.dispose();

  it('gives a candidate whose memories diverge the fitness 0, and goes on', () => {
    const name = 'model.layers.0.memory.neural.v_proj.weight';
    const broken = new Map(weights).set(name, new Float32Array(16 * 16).fill(3e38));
    const [sound, diverged] = [weights, broken].map((one) => meter.measure(one, stream));
    if (!sound || !diverged) throw new Error('nothing was measured');
    const weightsOfFitness = { ...config.fitness_weights, tasks: 0 };
    expect(diverged).toMatchObject({ lossNats: Number.NaN, parameters: sound.parameters });
    expect(fitnessOf(diverged, sound, weightsOfFitness)).toBe(0);
    expect(fitnessOf(sound, sound, weightsOfFitness)).toBeGreaterThan(0);
  });
});
