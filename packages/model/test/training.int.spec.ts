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
if const measured = path === undefined ? describe.skip : describe;

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
