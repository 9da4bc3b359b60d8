import { readFile } from 'node:fs/promises';
import { AdamW, decayGroups, Philox, warmupCosine } from '@agentforge/tensor';
import {
  BatchCursor,
  byteTokenizer,
  encodeSplit,
  evaluate,
  LlamaModel,
  MuonWithAdamW,
  presetConfig,
  trainStep,
} from '../src/index.js';

/** The text of the figures below is tinyshakespeare: 1.1 MB of ASCII, so that a byte is a character. */
const path = process.env['FORGE_TEST_CORPUS'];
if (path === undefined) console.warn('SKIPPED: training on tinyshakespeare: FORGE_TEST_CORPUS is not set');

/** nanoGPT's setting for a CPU: 4 layers, 4 heads, width 128, context 64, batches of 12 (1.88 after 2,000 steps). SwiGLU here, of as many weights. */
const CONFIG = presetConfig('pico', {
  ...{ vocabSize: 257, hiddenSize: 128, numLayers: 4, numHeads: 4, numKvHeads: 4, headDim: 32 },
  ...{ intermediateSize: 344, contextLength: 64 },
});
const PEAK = 1e-3;

/** Loss on the last tenth of the text, nats per character, after training on the rest. */
async function lossAfter(steps: number, kind: 'adamw' | 'muon'): Promise<number> {
  const text = await readFile(path ?? '', 'utf8');
  const cut = Math.floor(0.9 * text.length);
  const [train, held] = [text.slice(0, cut), text.slice(cut)].map((part) =>
    encodeSplit(byteTokenizer(), { documents: [part] }),
  );
  if (!train || !held) throw new Error('the text has two parts');
  const model = LlamaModel.init(CONFIG, new Philox(1));
  const batches = new BatchCursor([{ name: 'train', stream: train }], {
    ...{ batchSize: 12, length: 64, seed: new Philox(2) },
  });
  const options = { lr: PEAK, betas: [0.9, 0.99] as const, weightDecay: 0.1 };
  const optimizer =
    kind === 'adamw'
      ? new AdamW(decayGroups(model, 0.1), options)
      : new MuonWithAdamW(model, { ...options, muon: { lr: 0.02, momentum: 0.95, weightDecay: 0.01 } });
  const lr = warmupCosine({ peak: PEAK, floor: PEAK / 10, warmupSteps: 100, totalSteps: steps });
  for (let step = 0; step < steps; step++) trainStep(model, optimizer, batches.next(), { lr: lr(step) });
  const { lossNats } = evaluate(model, held, { batchSize: 16 });
  optimizer.dispose();
  model.dispose();
  return lossNats;
}

const measured = path === undefined ? describe.skip : describe;

measured('tinyshakespeare', () => {
  it('is learnt better in 500 steps by Muon than by AdamW, to no more than 1.90 nats per character', async () => {
    const [adamw, muon] = [await lossAfter(500, 'adamw'), await lossAfter(500, 'muon')];
    console.info(`500 steps: AdamW ${adamw.toFixed(4)}, Muon ${muon.toFixed(4)} nats per character`);
    expect(muon).toBeLessThan(adamw);
    expect(muon).toBeLessThanOrEqual(1.9);
  }, 3_600_000);

  it('is learnt to no more than 1.90 nats per character in the 2,000 steps of nanoGPT with AdamW', async () => {
    const adamw = await lossAfter(2_000, 'adamw');
    console.info(`2,000 steps: AdamW ${adamw.toFixed(4)} nats per character`);
    expect(adamw).toBeLessThanOrEqual(1.9);
  }, 3_600_000);
});
