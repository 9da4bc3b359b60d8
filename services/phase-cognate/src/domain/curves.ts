/** A point of a curve, as the runtime streams it. */
export interface LossPoint {
  readonly series: string;
  readonly subject: string;
  readonly step: number;
  readonly value: number;
}

/** Curves as the report holds them. */
export interface Curve {
  readonly series: string;
  readonly subject: string;
  readonly points: readonly (readonly [number, number])[];
}

/** Most points of a training-loss curve in the report. */
const MAX_POINTS = 400;

/** Collects curves. Which points are kept depends on their step alone, so that an interrupted run keeps the same ones. */
export class CurveRecorder {
  private readonly points: LossPoint[];

  constructor(
    private readonly steps: number,
    saved: readonly LossPoint[] = [],
  ) {
    this.points = [...saved];
  }

  /** Records the training loss of a step, if it is one of those that are kept. */
  train(subject: string, step: number, value: number): LossPoint {
    const point = { series: 'loss', subject, step, value };
    const isLast = step === this.steps;
    if (step % Math.ceil(this.steps / MAX_POINTS) === 0 || step === 1 || isLast) this.points.push(point);
    return point;
  }

  /** Records the loss on the fitness split. */
  fitness(subject: string, step: number, value: number): LossPoint {
    const point = { series: 'loss/fitness', subject, step, value };
    this.points.push(point);
    return point;
  }

  /** Everything recorded, in order. */
  saved(): readonly LossPoint[] {
    return this.points;
  }

  /** The curves, in order of their first point. */
  curves(): Curve[] {
    const curves = new Map<string, Curve & { points: [number, number][] }>();
    for (const { series, subject, step, value } of this.points) {
      const key = `${series}\n${subject}`;
      const curve = curves.get(key) ?? { series, subject, points: [] };
      curve.points.push([step, value]);
      curves.set(key, curve);
    }
    return [...curves.values()];
  }
}
