import { encodeSafetensors, memorySource, openSafetensors, WEIGHTS_FILE } from '@agentforge/model';
import type { Checkpoint, FileSet, StoredBlob } from '@agentforge/phase-runtime/worker';
import { z } from 'zod';
import type { LossPoint } from './domain/curves.js';
import type { Founder, SplitLoss, SplitLosses } from './domain/founder.js';
import type { LearnerState } from './domain/learner.js';

const STATE_FILE = 'state.json';

const cursorState = z.object({
  batchSize: z.int(),
  length: z.int(),
  mix: z.object({ key: z.string(), counter: z.string() }),
  sources: z.array(z.object({ name: z.string(), tokens: z.int(), epoch: z.int(), position: z.int() })),
});

const splitLoss = z.object({
  lossNats: z.number(),
  bitsPerByte: z.number(),
  ponderSteps: z.number().optional(),
  haltedShare: z.number().optional(),
});

const savedState = z.object({
  corpusDigest: z.string(),
  /** -1 while the shared steps are computed, then the number of the model in training. */
  founder: z.int().min(-1),
  step: z.int().min(0),
  optimizerStep: z.int().min(0),
  cursor: cursorState,
  points: z.array(z.object({ series: z.string(), subject: z.string(), step: z.number(), value: z.number() })),
  /** Losses of the model in training by split, as far as its last weights are evaluated. */
  evaluated: z.record(z.string(), splitLoss).default({}),
  /** Losses of the finished models, by name. */
  losses: z.record(z.string(), z.object({ train: splitLoss, fitness: splitLoss, report: splitLoss })),
});

/** The blobs of a learner's weights and moments. */
export type LearnerBlobs = ReadonlyMap<string, Uint8Array | StoredBlob>;

/** Where the work stands, besides the tensors. */
export interface FoundingPosition {
  readonly corpusDigest: string;
  readonly founder: number;
  readonly step: number;
  readonly points: readonly LossPoint[];
  /** Losses of the model in training by split, once it is trained: what is evaluated already. */
  readonly evaluated: Readonly<Record<string, SplitLoss>>;
}

/** What a checkpoint brings back. */
export interface RestoredFounding extends FoundingPosition {
  readonly learner: LearnerState;
  /** State after the shared steps, with its blobs; null while they are computed. */
  readonly shared: { readonly state: LearnerState; readonly files: LearnerBlobs } | null;
  /** Files of the tokenizer. */
  readonly tokenizer: ReadonlyMap<string, Uint8Array>;
  /** The finished models by name. */
  readonly finished: ReadonlyMap<string, Founder>;
}

/** Weights and moments as two safetensors files under a folder. */
export function encodeLearner(folder: string, { weights, optimizer }: LearnerState): Map<string, Uint8Array> {
  const flat = (data: Float32Array) => ({ shape: [data.length], data });
  const moments = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, momentum] of optimizer.momenta ?? []) moments.set(`momentum.${name}`, flat(momentum));
  for (const [name, { m, v }] of optimizer.moments) {
    moments.set(`m.${name}`, flat(m));
    moments.set(`v.${name}`, flat(v));
  }
  const tensors = new Map([...weights].map(([name, data]) => [name, flat(data)]));
  return new Map([
    [`${folder}/weights.safetensors`, encodeSafetensors(tensors)],
    [`${folder}/moments.safetensors`, encodeSafetensors(moments)],
  ]);
}

/** The files of a checkpoint. */
export function encodeFounding(
  position: FoundingPosition,
  learner: LearnerState,
  others: { shared: LearnerBlobs; tokenizer: FileSet; finished: ReadonlyMap<string, Founder> },
): FileSet {
  const losses: Record<string, SplitLosses> = {};
  for (const [name, founder] of others.finished) losses[name] = founder.losses;
  const state: z.input<typeof savedState> = {
    ...position,
    points: position.points.map((point) => ({ ...point })),
    evaluated: { ...position.evaluated },
    losses,
    optimizerStep: learner.optimizer.step,
    cursor: learner.cursor as z.input<typeof cursorState>,
  };
  const files = new Map<string, Uint8Array | StoredBlob>(encodeLearner('learner', learner));
  files.set(STATE_FILE, new TextEncoder().encode(JSON.stringify(state)));
  for (const [path, file] of others.shared) files.set(path, file);
  for (const [path, file] of others.tokenizer) files.set(`tokenizer/${path}`, file);
  for (const [name, founder] of others.finished) {
    for (const [path, file] of founder.files) files.set(`finished/${name}/${path}`, file);
  }
  return files;
}

/**
 * Reads a checkpoint back.
 * @throws AppError  whatever is wrong with a file of it
 */
export async function decodeFounding(checkpoint: Checkpoint, sharedSteps: number): Promise<RestoredFounding> {
  const saved = savedState.parse(JSON.parse(new TextDecoder().decode(await checkpoint.read(STATE_FILE))));
  const learner = await decodeLearner(checkpoint, 'learner', saved.optimizerStep, saved.cursor);
  const shared = new Map([...checkpoint.files].filter(([path]) => path.startsWith('shared/')));
  const finished = new Map<string, Founder>();
  for (const [name, losses] of Object.entries(saved.losses)) {
    const files = filesUnder(checkpoint, `finished/${name}/`);
    const weights = await readTensors(await checkpoint.read(`finished/${name}/${WEIGHTS_FILE}`));
    finished.set(name, { files, losses, weights });
  }
  const tokenizer = new Map<string, Uint8Array>();
  for (const name of filesUnder(checkpoint, 'tokenizer/').keys()) {
    tokenizer.set(name, await checkpoint.read(`tokenizer/${name}`));
  }
  return {
    corpusDigest: saved.corpusDigest,
    founder: saved.founder,
    step: saved.step,
    points: saved.points,
    evaluated: saved.evaluated,
    learner,
    shared:
      shared.size === 0
        ? null
        : { state: await decodeLearner(checkpoint, 'shared', sharedSteps, saved.cursor), files: shared },
    tokenizer,
    finished,
  };
}

function filesUnder(checkpoint: Checkpoint, folder: string): Map<string, StoredBlob> {
  const found = new Map<string, StoredBlob>();
  for (const [path, blob] of checkpoint.files) {
    if (path.startsWith(folder)) found.set(path.slice(folder.length), blob);
  }
  return found;
}

async function decodeLearner(
  checkpoint: Checkpoint,
  folder: string,
  step: number,
  cursor: LearnerState['cursor'],
): Promise<LearnerState> {
  const weights = await readTensors(await checkpoint.read(`${folder}/weights.safetensors`));
  const flat = await readTensors(await checkpoint.read(`${folder}/moments.safetensors`));
  const moments = new Map<string, { m: Float32Array; v: Float32Array }>();
  const momenta = new Map<string, Float32Array>();
  for (const name of weights.keys()) {
    const momentum = flat.get(`momentum.${name}`);
    if (momentum) momenta.set(name, momentum);
    const m = flat.get(`m.${name}`);
    const v = flat.get(`v.${name}`);
    if (m && v) moments.set(name, { m, v });
  }
  return { weights, optimizer: { step, moments, momenta }, cursor };
}

async function readTensors(bytes: Uint8Array): Promise<Map<string, Float32Array>> {
  const reader = await openSafetensors(memorySource(new Map([['tensors', bytes]])), 'tensors');
  const tensors = new Map<string, Float32Array>();
  for (const name of reader.names) tensors.set(name, await reader.readF32(name));
  return tensors;
}
