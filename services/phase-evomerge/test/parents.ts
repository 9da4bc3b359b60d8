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

/** A model small enough to be trained while a test waits. */
export const TINY: ModelConfig = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 32,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 32,
});

type Weights = Map<string, Float32Array>;

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

/** Weights of a model that knows the text's grammar. */
export function trainedWeights(): Weights {
  const bytes = new TextEncoder().encode(text());
  const { splits } = splitDisjoint(corpusFromBytes([{ name: 'corpus.txt', bytes }]));
  const stream = encodeSplit(byteTokenizer(), splits.train);
  const rng = new Philox(1);
  const model = LlamaModel.init(TINY, rng.stream('init'));
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 1e-2 });
  const batches = new BatchCursor([{ name: 'corpus', stream }], { batchSize: 8, length: 32, seed: rng });
  for (let step = 0; step < 120; step++) trainStep(model, optimizer, batches.next(), { lr: 1e-2 });
  const weights = model.exportWeights();
  optimizer.dispose();
  model.dispose();
  return weights;
}

/** The weights with independent noise on every matrix: a parent whose errors the others do not share. */
function disturbed(weights: Weights, seed: number, size: number): Weights {
  const rng = new Philox(seed);
  return new Map(
    [...weights].map(([name, values]) => [
      name,
      values.length <= TINY.hiddenSize ? values.slice() : values.map((value) => value + size * rng.normal()),
    ]),
  );
}

/** Stores a model. */
export async function putModel(
  store: ArtifactStore,
  name: string,
  weights: Weights,
  config: ModelConfig = TINY,
): Promise<ArtifactRef> {
  const files = [];
  for (const [path, bytes] of encodeModelFiles({ config, weights }, byteTokenizer())) {
    const { digest, sizeBytes } = await store.put(bytes);
    files.push({ path, digest, sizeBytes });
  }
  return store.putManifest({ files }, { name, type: 'model', mediaType: MEDIA_TYPES.model });
}

/** Stores one parent for each size of noise, with names from `a` on; their noise is seeded from `firstSeed` on. */
export async function putParents(
  store: ArtifactStore,
  weights: Weights,
  sizes: readonly number[] = [0.1, 0.1, 0.1],
  firstSeed = 10,
): Promise<ArtifactRef[]> {
  const refs: ArtifactRef[] = [];
  for (const [i, size] of sizes.entries()) {
    const name = String.fromCharCode('a'.charCodeAt(0) + i);
    refs.push(await putModel(store, name, disturbed(weights, firstSeed + i, size)));
  }
  return refs;
}

/** The files of a stored model, by path. */
export async function filesOf(store: ArtifactStore, digest: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const { path } of (await store.getManifest(digest)).files) {
    files.set(path, Uint8Array.from(await store.readFile(digest, path)));
  }
  return files;
}

/** Questions that no text here answers; models of one kind give different answers to them. */
const QUESTIONS = Array.from({ length: 12 }, (_, i) => ({
  type: 'choice',
  prompt: `in year ${'98'.repeat(2)}${i}`,
  choices: ['1', '5', '8'],
  answer: i % 3,
}));

/** Stores questions, more of them when wanted. */
export function putTasks(store: ArtifactStore, more: readonly object[] = []): Promise<ArtifactRef> {
  const lines = [...QUESTIONS, ...more].map((task) => `${JSON.stringify(task)}\n`).join('');
  const label = { name: 'tasks.jsonl', type: 'tasks', mediaType: MEDIA_TYPES.jsonl };
  return store.put(new TextEncoder().encode(lines), label);
}
