import type { ThinkingPoint } from '@agentforge/model';
import type { Philox } from '@agentforge/tensor';
import { bootstrapMean, correlation, type Interval, type RowSum } from './statistics.js';

/** How the phase ended. */
export const OUTCOMES = {
  /** All three tests hold; the thinking model is handed on. */
  improved: 'improved',
  /** One does not; the input model is handed on, unchanged. */
  noGain: 'no_gain',
  /** Nothing was tried: the input model was asked for. */
  fallback: 'fallback',
} as const;

/** One of {@link OUTCOMES}. */
export type Outcome = (typeof OUTCOMES)[keyof typeof OUTCOMES];

/** The anti-theatre gate: what tells thinking from having more computation, and from chance. */
export interface ThreeTests {
  /** Log-probability with thoughts less that with as many pauses by a model trained as long, nats per token. */
  readonly gain: Interval;
  /** Accuracy that the thinking model loses without its thoughts. */
  readonly ablation: number;
  /** Correlation of a thought's coherence and its utility; null where one of them never changes. */
  readonly coherenceCorrelation: number | null;
}

/** What is judged: predictions of the same tokens in the same order, by both models. */
export interface Rivals {
  readonly thoughts: readonly ThinkingPoint[];
  readonly pause: readonly ThinkingPoint[];
  /** What must be right as a whole: every token by itself, or all tokens of a row (the answer of a task). */
  readonly unit: 'token' | 'row';
}

/** Measures the three tests. Rows are resampled, as their tokens are not independent. */
export function measureTests(
  { thoughts, pause, unit }: Rivals,
  { resamples, confidence, rng }: { resamples: number; confidence: number; rng: Philox },
): ThreeTests {
  const sums = new Map<number, { sum: number; count: number }>();
  thoughts.forEach(({ row, talkNats }, at) => {
    const sum = sums.get(row) ?? { sum: 0, count: 0 };
    sum.sum += (pause[at] as ThinkingPoint).talkNats - talkNats;
    sum.count += 1;
    sums.set(row, sum);
  });
  const rows: RowSum[] = [...sums.values()];
  return {
    gain: bootstrapMean(rows, resamples, confidence, rng),
    ablation:
      accuracyOf(thoughts, unit, ({ isTalkRight }) => isTalkRight) -
      accuracyOf(thoughts, unit, ({ isPlainRight }) => isPlainRight),
    coherenceCorrelation: correlation(
      thoughts.map(({ coherence, talkNats, plainNats }) => [coherence, plainNats - talkNats] as const),
    ),
  };
}

/** Whether thoughts are worth their computation. All three have to hold. */
export function judge(
  { gain, ablation, coherenceCorrelation }: ThreeTests,
  minCorrelation: number,
): 'improved' | 'no_gain' {
  const isSensible = coherenceCorrelation !== null && coherenceCorrelation > minCorrelation;
  return gain.low > 0 && ablation > 0 && isSensible ? OUTCOMES.improved : OUTCOMES.noGain;
}

/** Share of tokens, or of rows with all their tokens, that are right. */
export function accuracyOf(
  points: readonly ThinkingPoint[],
  unit: Rivals['unit'],
  isRight: (point: ThinkingPoint) => boolean,
): number {
  if (unit === 'token') return points.filter(isRight).length / points.length;
  const rows = new Map<number, boolean>();
  for (const point of points) rows.set(point.row, (rows.get(point.row) ?? true) && isRight(point));
  return [...rows.values()].filter(Boolean).length / rows.size;
}
