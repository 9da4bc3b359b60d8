import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import {
  type CapturedTrainStep,
  LlamaModel,
  presetConfig,
  type TokenStream,
  trainStep,
} from '@agentforge/model';
import { AdamW, decayGroups, memoryStats, Philox, selectDevice, warmupCosine } from '@agentforge/tensor';
import { cognateConfig } from '../src/domain/cognate-config.js';
import { Learner } from '../src/domain/learner.js';
import { RowSchedule } from '../src/domain/row-schedule.js';

/**
 * Training on a device that records its steps. A process has one device, so this file runs itself in a process of its
 * own: on the kernels of CUDA run by the processor, where `pnpm test:cpp` has built them, or with FORGE_TEST_DEVICE=cuda
 * on what FORGE_CUDA_LIBRARY says, else a GPU.
 */
const EMULATED = fileURLToPath(new URL('../../../native/build/libforge_cuda_emulated.so', import.meta.url));
const isOnDevice = process.env['FORGE_TEST_DEVICE'] === 'cuda';

const SHAPE = presetConfig('pico', {
  ...{ vocabSize: 23, hiddenSize: 8, numLayers: 1, numHeads: 2, numKvHeads: 1, headDim: 4 },
  ...{ intermediateSize: 12, contextLength: 16 },
});
const LENGTH = 16;
const STEPS = 8;

const CONFIG = cognateConfig.parse({
  ...{ steps: STEPS, shared_steps: 1, warmup_steps: 2, sequence_length: LENGTH },
  curriculum: { sequence_length: 8, steps: 3 },
});

/** Rows begin with 8 tokens and come to have 16: two shapes of batches. */
function rowsOf(): RowSchedule {
  const rng = new Philox(3);
  const tokens = Int32Array.from({ length: 400 }, () => rng.integer(SHAPE.vocabSize));
  const stream: TokenStream = { tokens, bytesOfId: new Int32Array(SHAPE.vocabSize).fill(1) };
  const sources = [{ name: 'train', stream }];
  return new RowSchedule({ sources, length: LENGTH, batchSize: 1, curriculum: CONFIG.curriculum, seed: rng });
}

/** Whether the newest step was one launch. */
const isReplayed = (learner: Learner) =>
  (learner as unknown as { recorded?: { step: CapturedTrainStep } }).recorded?.step.isCaptured ?? false;

if (isOnDevice) {
  beforeAll(() => void selectDevice('cuda', { fallback: 'refuse' }));

  it('moves the weights of a recorded step as those of a plain one, also after a restore and for rows that grow', () => {
    const before = memoryStats().liveTensors;
    const model = LlamaModel.init(SHAPE, new Philox(1).stream('initialisation'));
    const optimizer = new AdamW(decayGroups(model, CONFIG.weight_decay), {
      lr: CONFIG.learning_rate,
      betas: [CONFIG.beta1, CONFIG.beta2],
      weightDecay: CONFIG.weight_decay,
    });
    const schedule = warmupCosine({
      peak: CONFIG.learning_rate,
      floor: CONFIG.min_learning_rate,
      warmupSteps: CONFIG.warmup_steps,
      totalSteps: CONFIG.steps,
    });
    const rows = rowsOf();
    const plain = (step: number): number =>
      trainStep(model, optimizer, [rows.next(step)], {
        lr: schedule(step),
        clipNorm: CONFIG.clip_norm,
        precision: CONFIG.precision,
      }).loss;

    let learner = Learner.begin(SHAPE, rowsOf(), CONFIG, new Philox(1));
    const replayed: boolean[] = [];
    for (let step = 0; step < STEPS; step++) {
      if (step === 6) {
        const state = learner.state();
        learner.dispose();
        learner = Learner.restore(SHAPE, state, rowsOf(), CONFIG);
      }
      expect(learner.step(step)).toBe(plain(step));
      replayed.push(isReplayed(learner));
    }
    // Two steps of each shape run call by call before the device has one.
    expect(replayed).toEqual([false, false, true, false, false, true, false, false]);
    const { weights, optimizer: moments } = learner.state();
    expect(weights).toEqual(model.exportWeights());
    expect(moments).toEqual(optimizer.exportState());
    for (const one of [learner, optimizer, model]) one.dispose();
    expect(memoryStats().liveTensors).toBe(before);
  });
} else {
  const test = existsSync(EMULATED) ? it : it.skip;
  test('training on a device, on the kernels of CUDA run by the processor', () => {
    const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--experimental-vm-modules', '--no-warnings', jest, 'learner-on-device'],
      {
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        env: { ...process.env, FORGE_TEST_DEVICE: 'cuda', FORGE_CUDA_LIBRARY: EMULATED },
        encoding: 'utf8',
      },
    );
    expect(status === 0 ? '' : stderr).toBe('');
  }, 300_000);
}
