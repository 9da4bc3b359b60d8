import type { RunEvent } from '@agentforge/contracts';
import type { Events, RunBatch, RunRecord } from '@agentforge/events';
import { RunLog } from '../ports/run-log.port.js';

/** The event logs in JetStream. */
export class NatsRunLog extends RunLog {
  constructor(private readonly events: Events) {
    super();
  }

  append(run: string, events: RunEvent[], expectedRevision: bigint): Promise<bigint> {
    return this.events.runs.append(run, events, expectedRevision);
  }

  read(run: string, options?: { readonly afterRevision?: bigint }): Promise<RunBatch[]> {
    return this.events.runs.read(run, options);
  }

  load(run: string): Promise<RunRecord | undefined> {
    return this.events.runs.load(run);
  }

  revisionOf(run: string): Promise<bigint> {
    return this.events.runs.revisionOf(run);
  }

  tail(options: { readonly signal: AbortSignal; readonly onCaughtUp: () => void }): AsyncIterable<RunBatch> {
    return this.events.runs.tail(options);
  }
}
