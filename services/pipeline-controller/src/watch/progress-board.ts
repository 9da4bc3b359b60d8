import type { StepProgress } from '@agentforge/contracts';
import { durationMs } from '@bufbuild/protobuf/wkt';

/** Most steps whose progress is remembered; the one that was told of longest ago goes first. Some 200 bytes each. */
const MAX_STEPS = 20_000;

/** What a worker told last about an attempt. */
export interface StepStanding {
  /** Share that is done, 0 to 1. */
  readonly fraction: number;
  /** Time to the end from now on, ms; undefined when nothing was told, or when what was told is over. */
  readonly etaMs: number | undefined;
}

interface Told {
  readonly attemptId: string;
  readonly fraction: number;
  readonly endMs: number | undefined;
}

/** The newest progress of every step that runs. What is lost or not told yet is unknown; the next word mends it. */
export class ProgressBoard {
  readonly #told = new Map<string, Told>();

  /** @param nowMs  a clock that is never set: times of workers are not compared with it */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** Takes in what a worker tells. */
  note({ run, stepId, attemptId, fraction, eta }: StepProgress): void {
    if (!Number.isFinite(fraction)) return;
    const key = keyOf(run, stepId);
    this.#told.delete(key);
    this.#told.set(key, {
      attemptId,
      fraction: Math.min(1, Math.max(0, fraction)),
      endMs: eta && this.nowMs() + durationMs(eta),
    });
    const [oldest] = this.#told.keys();
    if (this.#told.size > MAX_STEPS && oldest !== undefined) this.#told.delete(oldest);
  }

  /** How far an attempt is; undefined when nothing was heard of it. */
  of(run: string, stepId: string, attemptId: string): StepStanding | undefined {
    const told = this.#told.get(keyOf(run, stepId));
    if (told?.attemptId !== attemptId) return undefined;
    const leftMs = told.endMs === undefined ? -1 : told.endMs - this.nowMs();
    return { fraction: told.fraction, etaMs: leftMs >= 0 ? leftMs : undefined };
  }
}

const keyOf = (run: string, stepId: string): string => `${run} ${stepId}`;
