import type { Events, RunBatch, RunRecord } from '@agentforge/events';
import { type ProgressStream, RunHistory } from '../ports/run-history.port.js';

/** Logs and progress in JetStream. */
export class NatsRunHistory extends RunHistory {
  constructor(private readonly events: Events) {
    super();
  }

  tail(options: { readonly signal: AbortSignal; readonly onCaughtUp: () => void }): AsyncIterable<RunBatch> {
    return this.events.runs.tail(options);
  }

  tailRun(
    run: string,
    options: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncIterable<RunBatch> {
    return this.events.runs.tailRun(run, options);
  }

  load(run: string): Promise<RunRecord | undefined> {
    return this.events.runs.load(run);
  }

  progress(run: string, signal: AbortSignal): ProgressStream {
    return this.events.progress.subscribe(run, { replay: true, signal });
  }
}
