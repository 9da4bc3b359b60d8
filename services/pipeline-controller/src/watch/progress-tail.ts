import type { StepProgress } from '@agentforge/contracts';
import type { ProgressStream, RunHistory } from '../ports/run-history.port.js';

/** Progress of a run for one watcher, one point ahead; what it is too slow for is dropped where it comes from. */
export class ProgressTail {
  readonly #end = new AbortController();
  readonly #stream: ProgressStream;
  readonly #points: AsyncIterator<StepProgress>;
  #next: StepProgress | undefined;

  /** @param onChange  called whenever a point is there */
  constructor(
    history: RunHistory,
    run: string,
    private readonly onChange: () => void,
  ) {
    this.#stream = history.progress(run, this.#end.signal);
    this.#points = this.#stream[Symbol.asyncIterator]();
    void this.#ask();
  }

  take(): StepProgress | undefined {
    const point = this.#next;
    this.#next = undefined;
    if (point) void this.#ask();
    return point;
  }

  close(): void {
    this.#end.abort();
    this.#stream.close();
  }

  /** Progress that fails is progress that is missing: the events go on. */
  async #ask(): Promise<void> {
    try {
      const { done, value } = await this.#points.next();
      if (done) return;
      this.#next = value;
      this.onChange();
    } catch {
      // the watcher has its events
    }
  }
}
