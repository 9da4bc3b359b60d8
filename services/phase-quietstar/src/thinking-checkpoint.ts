import { encodeSafetensors, memorySource, openSafetensors, type ThinkingPoint } from '@agentforge/model';
import type { Checkpoint, FileSet, StoredBlob } from '@agentforge/phase-runtime/worker';
import { z } from 'zod';
import type { ThinkingCurvePoint } from './domain/curves.js';
import { ARMS, type ThinkerState, type ThinkerWeights } from './domain/thinker.js';

const STATE_FILE = 'state.json';
/** Absent before anything is judged. */
const PREDICTIONS_FILE = 'predictions.json';

const cursorState = z.object({
  batchSize: z.int(),
  length: z.int(),
  mix: z.object({ key: z.string(), counter: z.string() }),
  sources: z.array(z.object({ name: z.string(), tokens: z.int(), epoch: z.int(), position: z.int() })),
});

const savedState = z.object({
  /** Digests of the inputs. */
  inputs: z.array(z.string()),
  /** Number of the arm in training; that of all arms while it is judged. */
  arm: z.int().min(0).max(ARMS.length),
  step: z.int().min(0),
  /** Null while it is judged. */
  learner: z.object({ optimizerStep: z.int().min(0), cursor: cursorState }).nullable(),
  points: z.array(z.object({ series: z.string(), subject: z.string(), step: z.number(), value: z.number() })),
});

/** A prediction in short: there are as many as tokens that are judged. JSON has no NaN, the coherence of pauses. */
const savedPoint = z
  .tuple([z.int(), z.number(), z.number(), z.boolean(), z.boolean(), z.number().nullable()])
  .transform(
    ([row, talkNats, plainNats, isTalkRight, isPlainRight, coherence]): ThinkingPoint => ({
      ...{ row, talkNats, plainNats, isTalkRight, isPlainRight, coherence: coherence ?? Number.NaN },
    }),
  );

const savedPredictions = z.record(
  z.string(),
  z.object({ rows: z.int().min(0), points: z.array(savedPoint) }),
);

/** What one arm has predicted so far of the rows that it is judged by. */
export interface PredictedSoFar {
  /** Rows that are done. */
  readonly rows: number;
  readonly points: readonly ThinkingPoint[];
}

/** By what is judged and by arm. */
export type PredictionsSoFar = ReadonlyMap<string, PredictedSoFar>;

/** Where the work stands. */
export interface ThinkingPosition {
  readonly arm: number;
  readonly step: number;
  readonly points: readonly ThinkingCurvePoint[];
  readonly predicted: PredictionsSoFar;
}

/** What a checkpoint brings back. */
export interface RestoredThinking extends ThinkingPosition {
  readonly learner: ThinkerState | null;
  /** Weights of the arms that are trained. */
  readonly trained: readonly { readonly weights: ThinkerWeights; readonly blob: StoredBlob }[];
}

/** Weights as a safetensors file; shapes are those of the model. */
export function encodeWeights(weights: ThinkerWeights): Uint8Array {
  return encodeSafetensors(
    new Map([...weights].map(([name, data]) => [name, { shape: [data.length], data }])),
  );
}

/** The files of a checkpoint. */
export function encodeThinking(
  inputs: readonly string[],
  { arm, step, points, predicted }: ThinkingPosition,
  learner: ThinkerState | null,
  trained: readonly StoredBlob[],
): FileSet {
  const state: z.input<typeof savedState> = {
    inputs: [...inputs],
    arm,
    step,
    learner: learner && {
      optimizerStep: learner.optimizer.step,
      cursor: learner.cursor as z.input<typeof cursorState>,
    },
    points: points.map((point) => ({ ...point })),
  };
  const files = new Map<string, Uint8Array | StoredBlob>();
  files.set(STATE_FILE, new TextEncoder().encode(JSON.stringify(state)));
  if (predicted.size > 0) files.set(PREDICTIONS_FILE, encodePredictions(predicted));
  trained.forEach((blob, i) => {
    files.set(trainedFile(i), blob);
  });
  if (learner) {
    const moments = new Map<string, Float32Array>();
    for (const [name, { m, v }] of learner.optimizer.moments) {
      moments.set(`m.${name}`, m);
      moments.set(`v.${name}`, v);
    }
    files.set('learner/weights.safetensors', encodeWeights(learner.weights));
    files.set('learner/moments.safetensors', encodeWeights(moments));
  }
  return files;
}

/** Reads a checkpoint back. @throws Error when it is malformed or of other inputs */
export async function decodeThinking(
  checkpoint: Checkpoint,
  inputs: readonly string[],
): Promise<RestoredThinking> {
  const saved = savedState.parse(JSON.parse(new TextDecoder().decode(await checkpoint.read(STATE_FILE))));
  if (saved.inputs.join() !== inputs.join()) throw new Error('it was made from other inputs');
  const trained = [];
  for (let i = 0; i < saved.arm; i++) {
    const file = trainedFile(i);
    const weights = await readTensors(await checkpoint.read(file));
    trained.push({ weights, blob: checkpoint.files.get(file) as StoredBlob });
  }
  const { arm, step, points } = saved;
  return {
    arm,
    step,
    points,
    predicted: await readPredictions(checkpoint),
    trained,
    learner: saved.learner && (await readLearner(checkpoint, saved.learner)),
  };
}

function trainedFile(arm: number): string {
  return `trained/${ARMS[arm]}.safetensors`;
}

function encodePredictions(predicted: PredictionsSoFar): Uint8Array {
  const short = ({ row, talkNats, plainNats, isTalkRight, isPlainRight, coherence }: ThinkingPoint) => [
    ...[row, talkNats, plainNats, isTalkRight, isPlainRight, coherence],
  ];
  const entries = [...predicted].map(([name, { rows, points }]) => [
    name,
    { rows, points: points.map(short) },
  ]);
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
}

async function readPredictions(checkpoint: Checkpoint): Promise<PredictionsSoFar> {
  if (!checkpoint.files.has(PREDICTIONS_FILE)) return new Map();
  const text = new TextDecoder().decode(await checkpoint.read(PREDICTIONS_FILE));
  return new Map(Object.entries(savedPredictions.parse(JSON.parse(text))));
}

async function readLearner(
  checkpoint: Checkpoint,
  { optimizerStep, cursor }: { optimizerStep: number; cursor: ThinkerState['cursor'] },
): Promise<ThinkerState> {
  const weights = await readTensors(await checkpoint.read('learner/weights.safetensors'));
  const flat = await readTensors(await checkpoint.read('learner/moments.safetensors'));
  const moments = new Map<string, { m: Float32Array; v: Float32Array }>();
  for (const name of weights.keys()) {
    const m = flat.get(`m.${name}`);
    const v = flat.get(`v.${name}`);
    if (m && v) moments.set(name, { m, v });
  }
  return { weights, optimizer: { step: optimizerStep, moments }, cursor };
}

async function readTensors(bytes: Uint8Array): Promise<Map<string, Float32Array>> {
  const reader = await openSafetensors(memorySource(new Map([['tensors', bytes]])), 'tensors');
  const tensors = new Map<string, Float32Array>();
  for (const name of reader.names) tensors.set(name, await reader.readF32(name));
  return tensors;
}
