import { type ArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import type { ArtifactRef } from '@agentforge/contracts';
import {
  BatchCursor,
  byteTokenizer,
  corpusFromBytes,
  encodeModelFiles,
  encodeSplit,
  LlamaModel,
  type ModelConfig,
  presetConfig,
  splitDisjoint,
  trainStep,
} from '@agentforge/model';
import { AdamW, decayGroups, Philox } from '@agentforge/tensor';
import type { JsonObject } from '@bufbuild/protobuf';

/** A model small enough to be trained while a test waits. */
export const TINY: ModelConfig = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 32,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 64,
});

/** A run that takes seconds. */
export const SMALL_CONFIG: JsonObject = {
  thought_length: 3,
  first_thought_length: 1,
  ahead: 2,
  steps: 6,
  batch_size: 2,
  sequence_length: 16,
  micro_batch: 1,
  warmup_steps: 2,
  eval_interval: 3,
  eval_tokens: 65,
  report_tokens: 257,
  bootstrap: 200,
  checkpoint_interval_s: 1,
};

const SUBJECTS = ['The keeper', 'A sailor', 'Her brother', 'The old judge', 'Every child', 'No merchant'];
const VERBS = ['counted', 'forgot', 'painted', 'carried', 'answered', 'followed'];

/** Sentences with a grammar to learn, all different: number i is written out in its own digits. */
export function text(sentences = 700): string {
  let written = '';
  for (let i = 0; i < sentences; i++) {
    written += `${SUBJECTS[i % 6]} ${VERBS[(i * 5 + (i >> 3)) % 6]} the lamps in year ${i * 37}.\n`;
  }
  return written;
}

/** Stores a model that knows something of the text's grammar. */
export async function putTrainedModel(store: ArtifactStore): Promise<ArtifactRef> {
  const bytes = new TextEncoder().encode(text());
  const { splits } = splitDisjoint(corpusFromBytes([{ name: 'corpus.txt', bytes }]));
  const stream = encodeSplit(byteTokenizer(), splits.train);
  const rng = new Philox(1);
  const model = LlamaModel.init(TINY, rng.stream('init'));
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 1e-2 });
  const batches = new BatchCursor([{ name: 'corpus', stream }], { batchSize: 4, length: 32, seed: rng });
  for (let step = 0; step < 20; step++) trainStep(model, optimizer, batches.next(), { lr: 1e-2 });
  const files = [];
  for (const [path, content] of encodeModelFiles(model, byteTokenizer())) {
    const { digest, sizeBytes } = await store.put(content);
    files.push({ path, digest, sizeBytes });
  }
  optimizer.dispose();
  model.dispose();
  return store.putManifest({ files }, { name: 'founder', type: 'model', mediaType: MEDIA_TYPES.model });
}

/** Stores questions with answers. */
export function putTasks(
  store: ArtifactStore,
  tasks: readonly { prompt: string; answer: string }[],
): Promise<ArtifactRef> {
  const lines = tasks.map((task) => `${JSON.stringify({ type: 'generate', ...task })}\n`).join('');
  const label = { name: 'tasks.jsonl', type: 'tasks', mediaType: MEDIA_TYPES.jsonl };
  return store.put(new TextEncoder().encode(lines), label);
}
