import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { AdamW, decayGroups, Philox, warmupCosine } from '@agentforge/tensor';
import {
  BatchCursor,
  byteTokenizer,
  encodeSplit,
  evaluate,
  LlamaModel,
  type ModelConfig,
  MuonWithAdamW,
  presetConfig,
  trainStep,
} from '../src/index.js';

/** The text of the figures below is tinyshakespeare: 1.1 MB of ASCII, so that a byte is a character. */
const path = process.env['FORGE_TEST_CORPUS'];
if (path === undefined)
  console.warn('SKIPPED: training on all of tinyshakespeare: FORGE_TEST_CORPUS is not set');
/** Begins with its first 60,000 characters; kept for golden files. */
const kept = fileURLToPath(new URL('../../../test/golden/model/corpus.txt', import.meta.url));

/** nanoGPT's setting for a CPU: 4 layers, 4 heads, width 128, context 64, batches of 12 (1.88 after 2,000 steps). SwiGLU here, of as many weights. */
const CONFIG = presetConfig('pico', {
  ...{ vocabSize: 257, hiddenSize: 128, numLayers: 4, numHeads: 4, numKvHeads: 4, headDim: 32 },
  ...{ intermediateSize: 344, contextLength: 64 },
});
/** Small enough to learn something in seconds. */
const SMALL = presetConfig('pico', {
  ...{ vocabSize: 257, hiddenSize: 64, numLayers: 2, numHeads: 2, numKvHeads: 2, headDim: 32 },
  ...{ intermediateSize: 172, contextLength: 32 },
});

/** What is trained, on which file, and for how long. */
interface Run {
  readonly file: string;
  /** Of the file; default all. */
  readonly characters?: number;
  readonly config: ModelConfig;
  readonly steps: number;
  readonly warmupSteps: number;
  /** The highest rate of AdamW. */
  readonly peak: number;
}

/** Loss on the last tenth of the text, nats per character, after training on the rest. */
async function lossAfter(
  { file, characters, config, steps, warmupSteps, peak }: Run,
  kind: 'adamw' | 'muon',
): Promise<number> {
  const text = (await readFile(file, 'utf8')).slice(0, characters);
  const cut = Math.floor(0.9 * text.length);
  const [train, held] = [text.slice(0, cut), text.slice(cut)].map((part) =>
    encodeSplit(byteTokenizer(), { documents: [part] }),
  );
  if (!train || !held) throw new Error('the text has two parts');
  const model = LlamaModel.init(config, new Philox(1));
  const batches = new BatchCursor([{ name: 'train', stream: train }], {
    ...{ batchSize: 12, length: config.contextLength, seed: new Philox(2) },
  });
  const options = { lr: peak, betas: [0.9, 0.99] as const, weightDecay: 0.1 };
  const optimizer =
    kind === 'adamw'
      ? new AdamW(decayGroups(model, 0.1), options)
      : new MuonWithAdamW(model, { ...options, muon: { lr: 0.02, momentum: 0.95, weightDecay: 0.01 } });
  const lr = warmupCosine({ peak, floor: peak / 10, warmupSteps, totalSteps: steps });
  for (let step = 0; step < steps; step++) trainStep(model, optimizer, batches.next(), { lr: lr(step) });
  const { lossNats } = evaluate(model, held, { batchSize: 16 });
  optimizer.dispose();
  model.dispose();
  return lossNats;
}

describe('the first 60,000 characters of tinyshakespeare', () => {
  it('are learnt better in 200 steps by Muon than by AdamW', async () => {
    const run = { file: kept, characters: 60_000, config: SMALL, steps: 200, warmupSteps: 20, peak: 3e-3 };
    const [adamw, muon] = [await lossAfter(run, 'adamw'), await lossAfter(run, 'muon')];
    console.info(`200 steps: AdamW ${adamw.toFixed(4)}, Muon ${muon.toFixed(4)} nats per character`);
    expect(adamw).toBeLessThan(4); // 5.55 is a guess
    expect(muon).toBeLessThan(adamw - 0.3);
  }, 300_000);
});

const measured = path === undefined ? describe.skip : describe;

measured('tinyshakespeare', () => {
  const run = (steps: number): Run => ({
    file: path ?? '',
    config: CONFIG,
    steps,
    warmupSteps: 100,
    peak: 1e-3,
  });

  it('is learnt better in 500 steps by Muon than by AdamW, to no more than 1.90 nats per character', async () => {
    const [adamw, muon] = [await lossAfter(run(500), 'adamw'), await lossAfter(run(500), 'muon')];
    console.info(`500 steps: AdamW ${adamw.toFixed(4)}, Muon ${muon.toFixed(4)} nats per character`);
    expect(muon).toBeLessThan(adamw);
    expect(muon).toBeLessThanOrEqual(1.9);
  }, 3_600_000);

  it('is learnt to no more than 1.90 nats per character in the 2,000 steps of nanoGPT with AdamW', async () => {
    const adamw = await lossAfter(run(2_000), 'adamw');
    console.info(`2,000 steps: AdamW ${adamw.toFixed(4)} nats per character`);
    expect(adamw).toBeLessThanOrEqual(1.9);
  }, 3_600_000);
});
