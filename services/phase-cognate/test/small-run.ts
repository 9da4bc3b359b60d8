import type { JsonObject } from '@bufbuild/protobuf';

/** A run that takes seconds: a fraction of the pico preset's work, on generated text. */
export const SMALL_CONFIG: JsonObject = {
  vocab_size: 300,
  context_length: 32,
  sequence_length: 16,
  batch_size: 4,
  steps: 14,
  shared_steps: 6,
  warmup_steps: 2,
  eval_interval: 4,
  eval_tokens: 256,
  checkpoint_interval_s: 1,
  specialisations: [
    { name: 'reasoning', arithmetic: 0.5 },
    { name: 'memory', sequence_length: 32 },
    { name: 'speed', sequence_length: 8, region: { from: 0, to: 0.5, share: 0.5 } },
  ],
};

/** The same with a window and neural memory, Muon, and rows that get longer. */
export const SMALL_TITANS: JsonObject = {
  ...SMALL_CONFIG,
  architecture: 'titans-mag',
  optimizer: 'muon',
  curriculum: { sequence_length: 8, steps: 4 },
  window: 8,
  memory: { heads: 4, expansion: 1, chunk_length: 8 },
};

/** The same with blocks that run on their own results; a model that is seldom sure halts early all the same. */
export const SMALL_RECURSION: JsonObject = {
  ...SMALL_CONFIG,
  steps: 7,
  shared_steps: 4,
  count: 2,
  recursion: { latent_steps: 1, cycles: 2, supervision_steps: 2, halt_threshold: 0.5 },
  specialisations: [
    { name: 'speed', halt_threshold: 0.001 },
    { name: 'reasoning', halt_threshold: 0.99 },
  ],
};

const SUBJECTS = ['The keeper', 'A sailor', 'Her brother', 'The old judge', 'Every child', 'No merchant'];
const VERBS = ['counted', 'forgot', 'painted', 'carried', 'answered', 'followed'];
const OBJECTS = ['the lamps', 'seven letters', 'a broken wheel', 'the morning', 'his own name', 'that river'];

/** Sentences with a grammar to learn, all different: number i is written out in its own digits. */
export function smallText(sentences = 300): string {
  let text = '';
  for (let i = 0; i < sentences; i++) {
    const pick = (words: readonly string[], stride: number) => words[(i * stride + (i >> 3)) % words.length];
    text += `${pick(SUBJECTS, 1)} ${pick(VERBS, 5)} ${pick(OBJECTS, 7)} in year ${i * 37}.\n`;
  }
  return text;
}
