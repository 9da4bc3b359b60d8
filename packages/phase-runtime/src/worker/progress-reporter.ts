import type { CurvePoint } from './phase-context.js';
import { thin } from './thin.js';

/** Shortest time between two messages: at most five a second. */
const INTERVAL_MS = 200;

/** Most points one message carries. */
const MAX_POINTS = 256;

/** Progress as it is passed on. */
export interface ProgressUpdate {
  readonly fraction: number;
  readonly stage: string;
  readonly points: readonly CurvePoint[];
}

/**
 * Passes progress on at a bounded rate and size. Between two messages points are collected, and thinned out evenly
 * per curve when there are too many; the fraction never goes back.
 */
export class ProgressReporter {
  private points: CurvePoint[] = [];
  private fraction = 0;
  private stage = '';
  private sentAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly send: (update: ProgressUpdate) => void,
    private readonly nowMs: () => number,
  ) {}

  /** Takes one report; sends it, with what was collected, when the last message is old enough. */
  report(fraction: number, stage: string, points: readonly CurvePoint[] = []): void {
    if (Number.isFinite(fraction)) this.fraction = Math.min(1, Math.max(this.fraction, fraction));
    this.stage = stage;
    this.points.push(...points.filter(({ value }) => Number.isFinite(value)));
    if (this.points.length > 2 * MAX_POINTS) this.points = thin(this.points, MAX_POINTS);
    if (this.nowMs() - this.sentAtMs >= INTERVAL_MS) this.flush();
  }

  /** Sends what has been collected. */
  flush(): void {
    this.sentAtMs = this.nowMs();
    this.send({ fraction: this.fraction, stage: this.stage, points: thin(this.points, MAX_POINTS) });
    this.points = [];
  }
}
