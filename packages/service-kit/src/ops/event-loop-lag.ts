import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** Window over which the longest delay counts, ms. */
const WINDOW_MS = 10_000;
/** Sampling step, ms; the shortest delay that is seen. */
const RESOLUTION_MS = 20;

/** Watches how long the event loop was blocked lately. */
export class EventLoopLag {
  private readonly histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private previousMaxMs = 0;
  private readonly timer: NodeJS.Timeout;

  constructor() {
    this.histogram.enable();
    this.timer = setInterval(() => this.roll(), WINDOW_MS).unref();
  }

  /** Longest delay in the last one to two windows, ms. */
  maxMs(): number {
    return Math.max(this.previousMaxMs, this.currentMaxMs());
  }

  /** Ends the watch. */
  stop(): void {
    clearInterval(this.timer);
    this.histogram.disable();
  }

  private roll(): void {
    this.previousMaxMs = this.currentMaxMs();
    this.histogram.reset();
  }

  /** The histogram holds whole intervals: the step itself is not lag. */
  private currentMaxMs(): number {
    const maxMs = this.histogram.max / 1e6;
    return this.histogram.count === 0 ? 0 : Math.max(0, maxMs - RESOLUTION_MS);
  }
}
