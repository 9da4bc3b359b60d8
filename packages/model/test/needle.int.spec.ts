import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import {
  argmaxToken,
  LlamaModel,
  type ModelConfig,
  MuonWithAdamW,
  presetConfig,
  titansMag,
  trainStep,
} from '../src/index.js';

/** Tokens: filler, needles, and the question which needle there was. */
const FILLER = 8;
const NEEDLES = 8;
const QUESTION = FILLER + NEEDLES;
const LENGTH = 48;
/** The needle lies in the first half of a row: further back than the window of all layers together. */
const LATEST = 24;
const BATCH = 16;
const STEPS = 150;
/** Questions at the end of a row: the first is further behind the needle than the window, too. */
const ASKED = 8;

const WITHOUT: ModelConfig = presetConfig('pico', {
  ...{ vocabSize: QUESTION + 1, hiddenSize: 32, numLayers: 1, numHeads: 2, numKvHeads: 2, headDim: 16 },
  ...{ intermediateSize: 64, contextLength: LENGTH, slidingWindow: 8 },
});
const WITH = titansMag(WITHOUT, { window: 8, memory: { chunk_length: 16 } });

/** Rows of filler with one needle and questions at the end; only their answers count. */
function needles(rng: Philox) {
  const inputs = Int32Array.from({ length: BATCH * LENGTH }, () => rng.integer(FILLER));
  const targets = new Int32Array(BATCH * LENGTH).fill(-100);
  for (let row = 0; row < BATCH; row++) {
    const needle = FILLER + rng.integer(NEEDLES);
    inputs[row * LENGTH + rng.integer(LATEST)] = needle;
    inputs.fill(QUESTION, (row + 1) * LENGTH - ASKED, (row + 1) * LENGTH);
    targets.fill(needle, (row + 1) * LENGTH - ASKED, (row + 1) * LENGTH);
  }
  return { inputs, targets, batchSize: BATCH, length: LENGTH, bytes: 0 };
}

/** Share of right answers on rows that were not trained on. */
function accuracyAfterTraining(config: ModelConfig): number {
  const model = LlamaModel.init(config, new Philox(1));
  const optimizer = new MuonWithAdamW(model, {
    ...{ lr: 5e-3, betas: [0.9, 0.95] as const, weightDecay: 0.01 },
    muon: { lr: 0.02, momentum: 0.95, weightDecay: 0.01 },
  });
  const rng = new Philox(2);
  for (let step = 0; step < STEPS; step++) trainStep(model, optimizer, needles(rng));
  const held = new Philox(3);
  let right = 0;
  for (let i = 0; i < 16; i++) {
    const { inputs, targets } = needles(held);
    const logits = noGrad(() =>
      scope(() => model.forward(tensor(inputs, [BATCH, LENGTH]), { lastOnly: true }).toFloat32Array()),
    );
    for (let row = 0; row < BATCH; row++) {
      const best = argmaxToken(logits.subarray(row * (QUESTION + 1), (row + 1) * (QUESTION + 1)));
      if (best === targets[(row + 1) * LENGTH - 1]) right++;
    }
  }
  optimizer.dispose();
  model.dispose();
  return right / (16 * BATCH);
}

describe('a needle behind the window', () => {
  it('is found by a model with neural memory, and not by the same without', () => {
    const [without, withMemory] = [WITHOUT, WITH].map(accuracyAfterTraining);
    console.info(
      `needle in a haystack: ${withMemory} with memory, ${without} without, chance ${1 / NEEDLES}`,
    );
    expect(without).toBeLessThan(2 / NEEDLES);
    expect(withMemory).toBeGreaterThan(0.9);
  }, 600_000);
});
