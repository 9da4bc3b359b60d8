import { argmax, noGrad, type Philox, scope } from '@agentforge/tensor';
import { sampleThoughts } from './sample-thoughts.js';
import { natsOf, type ThinkingModel } from './thinking-model.js';

/** A row to predict. */
export interface ScoredRow {
  /** Ids [T]. */
  readonly inputs: Int32Array;
  /** The token after each input [T]; −100 where it is not asked for. */
  readonly targets: Int32Array;
}

/** How rows are scored. */
export interface ScoreThinkingOptions {
  /** What stands between two tokens. */
  readonly kind: 'thoughts' | 'pause';
  readonly thoughtLength: number;
  /** 0 thinks the likeliest thought. */
  readonly temperature: number;
  /** Rows at once; the random numbers of thoughts depend on it. */
  readonly batchSize: number;
  /** Not advanced. */
  readonly rng: Philox;
  /** Called before each forward pass; throw from it to stop. */
  readonly checkCancelled?: () => void;
}

/** One prediction that was asked for. */
export interface ThinkingPoint {
  /** Number of the row. */
  readonly row: number;
  /** −log p of the true token with the thought, nats. */
  readonly talkNats: number;
  /** Without it, by the same model. */
  readonly plainNats: number;
  /** Whether the likeliest token is the true one, with and without the thought. */
  readonly isTalkRight: boolean;
  readonly isPlainRight: boolean;
  /** Mean log-probability of the thought's tokens, nats: how sure the model was of it. NaN for pauses. */
  readonly coherence: number;
}

/**
 * Predicts every asked token once with a thought before it and once without, by one model. Deterministic.
 * @param rows  all of one length T
 */
export function scoreThinking(
  model: ThinkingModel,
  rows: readonly ScoredRow[],
  options: ScoreThinkingOptions,
): ThinkingPoint[] {
  const points: ThinkingPoint[] = [];
  for (let first = 0; first < rows.length; first += options.batchSize) {
    const group = rows.slice(first, first + options.batchSize);
    points.push(...scoreGroup(model, group, first, options));
  }
  return points;
}

function scoreGroup(
  model: ThinkingModel,
  group: readonly ScoredRow[],
  first: number,
  { kind, thoughtLength, temperature, rng, checkCancelled }: ScoreThinkingOptions,
): ThinkingPoint[] {
  const length = group[0]?.inputs.length ?? 0;
  const rows = group.length;
  const inputs = joined(group.map((row) => row.inputs));
  const targets = joined(group.map((row) => row.targets));
  const check = checkCancelled === undefined ? {} : { checkCancelled };
  const stream = rng.stream(`row ${first}`);
  const thoughts =
    kind === 'pause'
      ? null
      : sampleThoughts(model, inputs, { rows, thoughtLength, temperature, rng: stream, ...check });
  checkCancelled?.();
  return noGrad(() =>
    scope(() => {
      const talk = model.talk(inputs, thoughts, { rows, length, thoughtLength, ahead: 1 });
      const [talkNats, plainNats] = [talk.mixed, talk.plain].map((logits) =>
        natsOf(logits, targets).toFloat32Array(),
      ) as [Float32Array, Float32Array];
      const [talkBest, plainBest] = [talk.mixed, talk.plain].map((logits) => argmax(logits).toTypedArray());
      const thoughtNats =
        talk.policy === null || thoughts === null ? null : natsOf(talk.policy, thoughts).toFloat32Array();
      const points: ThinkingPoint[] = [];
      targets.forEach((target, at) => {
        if (target === -100) return;
        points.push({
          row: first + Math.floor(at / length),
          talkNats: talkNats[at] as number,
          plainNats: plainNats[at] as number,
          isTalkRight: talkBest?.[at] === target,
          isPlainRight: plainBest?.[at] === target,
          coherence: thoughtNats === null ? Number.NaN : coherenceAt(thoughtNats, at, length, thoughtLength),
        });
      });
      return points;
    }),
  );
}

/** Mean log-probability of the thought at place `at` of [R, T], from losses [R, n, T]. */
function coherenceAt(nats: Float32Array, at: number, length: number, thoughtLength: number): number {
  const start = Math.floor(at / length) * thoughtLength * length + (at % length);
  let sum = 0;
  for (let place = 0; place < thoughtLength; place++) sum -= nats[start + place * length] as number;
  return sum / thoughtLength;
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
