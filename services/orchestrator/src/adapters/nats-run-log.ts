import type { RunEvent } from '@agentforge/contracts';
import { isAppError } from '@agentforge/errors';
import type { Events, RunBatch, RunRecord } from '@agentforge/events';
import { LogUnreachableError } from '../orchestrator.errors.js';
import { RunLog } from '../ports/run-log.port.js';

/** The event logs in JetStream. */
export class NatsRunLog extends RunLog {
  constructor(private readonly events: Events) {
    super();
  }

  append(run: string, events: RunEvent[], expectedRevision: bigint): Promise<bigint> {
    return reaching(this.events.runs.append(run, events, expectedRevision));
  }

  read(run: string, options?: { readonly afterRevision?: bigint }): Promise<RunBatch[]> {
    return reaching(this.events.runs.read(run, options));
  }

  load(run: string): Promise<RunRecord | undefined> {
    return reaching(this.events.runs.load(run));
  }

  revisionOf(run: string): Promise<bigint> {
    return reaching(this.events.runs.revisionOf(run));
  }

  tail(options: {
    readonly afterSequence: bigint;
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<RunBatch> {
    return this.events.runs.tail(options);
  }
}

/** Errors of the connection itself say nothing to callers; all mean that the log cannot be reached now. */
function reaching<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    throw isAppError(error) ? error : new LogUnreachableError(error);
  });
}
