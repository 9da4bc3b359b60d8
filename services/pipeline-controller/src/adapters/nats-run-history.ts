import type { Events, RunBatch, RunRange, RunRecord } from '@agentforge/events';
import { type ProgressStream, RunHistory } from '../ports/run-history.port.js';

/** Logs and progress in JetStream. */
export class NatsRunHistory extends RunHistory {
  constructor(private readonly events: Events) {
    super();
  }

  tail(options: {
    readonly afterSequence: bigint;
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<RunBatch> {
    return this.events.runs.tail(options);
  }

  batches(run: string, range: RunRange): AsyncIterable<RunBatch> {
    return this.events.runs.batches(run, range);
  }

  tailRun(
    run: string,
    options: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncIterable<RunBatch> {
    return this.events.runs.tailRun(run, options);
  }

  load(run: string, options?: { readonly untilRevision?: bigint }): Promise<RunRecord | undefined> {
    return this.events.runs.load(run, options);
  }

  progress(run: string, signal: AbortSignal): ProgressStream {
    return this.events.progress.subscribe(run, { replay: true, signal });
  }
}
