import type { CurvePoint } from '@agentforge/contracts';

/** Most points kept of one curve; beyond it every second one is dropped. */
const MAX_POINTS = 2_000;

/** A curve of a step. */
export interface SeriesView {
  /** For example "loss" or "fitness/best". */
  readonly series: string;
  /** For example the name of a model; may be empty. */
  readonly subject: string;
  readonly points: { x: number; y: number }[];
}

/** The curves of one step, bounded in memory. A step that resumed from a checkpoint overwrites what it does again. */
export class Curves {
  private readonly bySeries = new Map<string, SeriesView>();

  /** Adds a point. */
  add(point: CurvePoint): void {
    const key = `${point.series}\u0000${point.subject}`;
    let curve = this.bySeries.get(key);
    if (!curve) {
      curve = { series: point.series, subject: point.subject, points: [] };
      this.bySeries.set(key, curve);
    }
    const { points } = curve;
    const x = Number(point.step);
    while ((points[points.length - 1]?.x ?? -1) >= x) points.pop();
    points.push({ x, y: point.value });
    if (points.length > MAX_POINTS) {
      const thinned = points.filter((_, index) => index % 2 === 0 || index === points.length - 1);
      points.splice(0, points.length, ...thinned);
    }
  }

  /** All curves, in the order in which they began. */
  list(): SeriesView[] {
    return [...this.bySeries.values()];
  }

  /** Curves of training losses; of any losses when there are none of these. */
  losses(): SeriesView[] {
    const losses = this.list().filter(({ series }) => /(^|[/_.])loss($|[/_.])/.test(series));
    const training = losses.filter(({ series }) => series === 'loss');
    return training.length > 0 ? training : losses;
  }

  /** The curve of the best fitness, when there is one. */
  bestFitness(): SeriesView | undefined {
    const fitness = this.list().filter(({ series }) => series.startsWith('fitness'));
    return fitness.find(({ series }) => series === 'fitness/best') ?? fitness[0];
  }
}
