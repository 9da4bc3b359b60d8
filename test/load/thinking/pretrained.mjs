import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BatchCursor,
  byteTokenizer,
  corpusFromBytes,
  encodeModelFiles,
  encodeSplit,
  LlamaModel,
  presetConfig,
  splitDisjoint,
  trainStep,
} from '@agentforge/model';
import { AdamW, decayGroups, Philox, warmupCosine } from '@agentforge/tensor';

/** Models of bytes that are to think. `pico` is the preset with a vocabulary of bytes. */
export const SHAPES = {
  small: presetConfig('pico', {
    vocabSize: 257,
    hiddenSize: 64,
    numLayers: 2,
    numHeads: 2,
    numKvHeads: 2,
    headDim: 32,
    intermediateSize: 128,
    contextLength: 128,
  }),
  pico: presetConfig('pico', { vocabSize: 257 }),
};

const FILES = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];

/** Rows and their tokens: several problems in each, so that few are cut. */
const [ROWS, LENGTH] = [4, 128];

/**
 * The files of a model that has learnt a text: those in `directory`, or, where it has none, those of one that is trained now and
 * stored there.
 * @param text    its train split is learnt
 * @param rounds  [{steps, peak}]: each begins with fresh moments and ends with a tenth of its largest learning rate
 * @returns       Map of path to bytes
 */
export async function pretrained(directory, { shape, text, rounds }) {
  const found = await Promise.all(
    FILES.map((name) => readFile(join(directory, name)).then((bytes) => [name, bytes], missing)),
  );
  if (found.some((file) => file !== null)) return new Map(found.filter((file) => file !== null));
  const { splits } = splitDisjoint(corpusFromBytes([{ name: 'corpus.txt', bytes: Buffer.from(text) }]));
  const stream = encodeSplit(byteTokenizer(), splits.train);
  const rng = new Philox(1);
  const model = LlamaModel.init(shape, rng.stream('init'));
  rounds.forEach((round, i) => {
    const loss = learn(model, stream, round, i === 0 ? rng : rng.stream(`round ${i}`));
    console.log(`input model: round ${i + 1}, ${round.steps} steps, last loss ${loss.toFixed(3)} nats/token`);
  });
  const files = encodeModelFiles(model, byteTokenizer());
  model.dispose();
  await mkdir(directory, { recursive: true });
  for (const [path, bytes] of files) await writeFile(join(directory, path), bytes);
  return files;
}

function learn(model, stream, { steps, peak }, seed) {
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: peak, betas: [0.9, 0.95] });
  const schedule = warmupCosine({
    peak,
    floor: peak / 10,
    warmupSteps: Math.min(50, steps),
    totalSteps: steps,
  });
  const batches = new BatchCursor([{ name: 'corpus', stream }], { batchSize: ROWS, length: LENGTH, seed });
  let loss = 0;
  for (let step = 0; step < steps; step++)
    loss = trainStep(model, optimizer, batches.next(), { lr: schedule(step) }).loss;
  optimizer.dispose();
  return loss;
}

function missing(error) {
  if (error.code === 'ENOENT') return null;
  throw error;
}
