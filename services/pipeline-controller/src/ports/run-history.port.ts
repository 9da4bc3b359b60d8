import type { StepProgress } from '@agentforge/contracts';
import type { RunBatch, RunRange, RunRecord } from '@agentforge/events';

/** Progress of a run as it comes; what a slow reader misses is dropped. */
export interface ProgressStream extends AsyncIterable<StepProgress> {
  close(): void;
}

/** The event logs of runs, and their progress. */
export abstract class RunHistory {
  /** Every batch of every run, without gaps, for ever. */
  abstract tail(options: {
    readonly afterSequence: bigint;
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<RunBatch>;
  /** Batches of one run in a range, in order. */
  abstract batches(run: string, range: RunRange): AsyncIterable<RunBatch>;
  /** Batches of one run after a revision, without gaps, for ever. */
  abstract tailRun(
    run: string,
    options: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncIterable<RunBatch>;
  /** The fold of a run's log, or undefined when there is no such run. */
  abstract load(run: string, options?: { readonly untilRevision?: bigint }): Promise<RunRecord | undefined>;
  /** Progress that is kept, then what comes. */
  abstract progress(run: string, signal: AbortSignal): ProgressStream;
}
