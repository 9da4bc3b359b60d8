import type { Metrics } from '@agentforge/telemetry';
import type { CurvePoint } from '../worker/phase-context.js';

/** The split of which each curve of losses tells. */
const LOSSES: ReadonlyMap<string, string> = new Map([
  ['loss', 'train'],
  ['loss/fitness', 'fitness'],
]);
const BEST = 'fitness/best';

/** What the curves of the steps that a worker executes say at the moment of a scrape; nothing while it has none. */
export class CurveMetrics {
  constructor(
    private readonly phase: string,
    private readonly metrics: Metrics,
  ) {}

  /** Takes points of a running step. Of several steps at once the newest point counts. */
  note(points: readonly CurvePoint[]): void {
    const { phase, metrics } = this;
    for (const { series, value } of points) {
      const split = LOSSES.get(series);
      if (split !== undefined) metrics.gauge('trainingLoss').set({ phase, split }, value);
      if (series === BEST) metrics.gauge('fitnessBest').set({ phase }, value);
    }
  }

  /** Forgets them: no step runs any more. */
  clear(): void {
    const { phase, metrics } = this;
    for (const split of LOSSES.values()) metrics.gauge('trainingLoss').remove({ phase, split });
    metrics.gauge('fitnessBest').remove({ phase });
  }
}
