import type { RunEvent } from '@agentforge/contracts';
import type { RunBatch, RunRecord } from '@agentforge/events';

/** The event logs of all runs. */
export abstract class RunLog {
  /**
   * Adds events that commit together; returns the new revision.
   * @throws ABORTED when the run's revision is not the expected one, RESOURCE_EXHAUSTED when the events are too
   *         large for a message, UNAVAILABLE when the outcome is not known
   */
  abstract append(run: string, events: RunEvent[], expectedRevision: bigint): Promise<bigint>;
  /** Batches after a revision, oldest first; none when there is no such run. */
  abstract read(run: string, options?: { readonly afterRevision?: bigint }): Promise<RunBatch[]>;
  /** The fold of a run's log, or undefined when there is no such run. */
  abstract load(run: string): Promise<RunRecord | undefined>;
  /** Revision of a run; 0 when there is no such run. */
  abstract revisionOf(run: string): Promise<bigint>;
  /** Every batch of every run, without gaps, for ever. */
  abstract tail(options: {
    readonly afterSequence: bigint;
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<RunBatch>;
}
