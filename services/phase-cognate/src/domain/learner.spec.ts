import { LlamaModel, presetConfig, titansMag } from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { cognateConfig } from './cognate-config.js';
import { Learner } from './learner.js';
import type { RowSchedule } from './row-schedule.js';

const SHAPE = titansMag(
  presetConfig('pico', {
    ...{ vocabSize: 257, hiddenSize: 16, numLayers: 1, numHeads: 2, numKvHeads: 2, headDim: 8 },
    ...{ intermediateSize: 32, contextLength: 32 },
  }),
);

describe('Learner', () => {
  it('ends for good when a memory diverges, and says at which step and what to lower', () => {
    const model = LlamaModel.init(SHAPE, new Philox(1));
    const weights = model.exportWeights();
    model.dispose();
    weights.set('model.layers.0.memory.neural.v_proj.weight', new Float32Array(16 * 16).fill(3e38));
    const batch = {
      inputs: new Int32Array(8),
      targets: new Int32Array(8),
      batchSize: 1,
      length: 8,
      bytes: 8,
    };
    const rows = { next: () => batch } as unknown as RowSchedule;
    const config = cognateConfig.parse({ architecture: 'titans-mag' });
    const learner = Learner.begin(SHAPE, rows, config, weights);
    expect(() => learner.step(7)).toThrow(
      expect.objectContaining({
        name: 'TrainingDivergedError',
        code: 'FAILED_PRECONDITION',
        reason: 'TRAINING_DIVERGED',
        message: expect.stringMatching(
          /^training diverged at step 7: .*memory.* diverged.*lower .*learning rate$/,
        ) as string,
      }),
    );
    learner.dispose();
  });
});
