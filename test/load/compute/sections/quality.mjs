// What a fixed time of training comes to: bits per byte of text that the model has not seen.
import {
  BatchCursor,
  encodeSplit,
  evaluate,
  LlamaModel,
  presetConfig,
  readCorpus,
  splitDisjoint,
  trainBpe,
  trainStep,
} from '@agentforge/model';
import { AdamW, decayGroups, Philox, selectDevice } from '@agentforge/tensor';
import { trainByTime } from '../by-time.mjs';
import { alone } from '../figures.mjs';

const PRESET = 'pico';
/** Rows and tokens per row of a step. */
const [BATCH, LENGTH] = [8, 128];
/** Of training; the tokenizer and the evaluation come on top. */
const SECONDS = 90;
const PEAK = 1.2e-3;

export async function run({ threads, text, record, say }) {
  if (text === undefined) {
    say('quality: skipped, needs --text FILE');
    return;
  }
  selectDevice('cpu', { threads });
  const { bitsPerByte, tokens } = await trained(text, SECONDS);
  const shape = `${PRESET}, ${SECONDS} s`;
  record(alone({ name: 'quality', shape, unit: 'bits/byte' }, bitsPerByte));
  record(alone({ name: 'quality, tokens trained', shape, unit: 'tokens' }, tokens));
}

/** Trains on the first eight tenths of a text, and measures on the last. */
export async function trained(text, seconds) {
  const { splits } = splitDisjoint(await readCorpus([text]));
  const config = presetConfig(PRESET);
  const tokenizer = trainBpe(splits.train.documents, { vocabSize: config.vocabSize });
  const rng = new Philox(1);
  const model = LlamaModel.init(config, rng);
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: PEAK, betas: [0.9, 0.95] });
  try {
    const source = { name: 'train', stream: encodeSplit(tokenizer, splits.train) };
    const batches = new BatchCursor([source], { batchSize: BATCH, length: LENGTH, seed: rng.stream('data') });
    const steps = trainByTime({ seconds, warmup: seconds / 30, peak: PEAK }, (lr) => {
      trainStep(model, optimizer, batches.next(), { lr, clipNorm: 1 });
    });
    const { bitsPerByte } = evaluate(model, encodeSplit(tokenizer, splits.report), { length: LENGTH });
    return { bitsPerByte, tokens: steps * BATCH * LENGTH };
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}
