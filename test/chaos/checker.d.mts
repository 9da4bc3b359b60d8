import type { RunEvent } from '@agentforge/contracts';
import type { JournalLine } from '../probe-phase/journal.mjs';
import type { Graph } from './graphs.mjs';

/** What a user may ask of a run. */
export type Command = 'pauseRun' | 'resumeRun' | 'cancelRun';

/** A run that the front door accepted. */
export interface AcceptedRun {
  readonly name: string;
  readonly runId: string;
  readonly graph: Graph;
  /** Commands that were sent; absent: none. */
  readonly asked?: ReadonlySet<Command>;
  /** Those that were answered with success. */
  readonly answered?: ReadonlySet<Command>;
}

/** An error that no fault explains. */
export interface Surprise {
  readonly call: string;
  readonly code: string;
  readonly message: string;
  readonly times: number;
}

/** A batch of a run's log. */
export interface LoggedBatch {
  readonly run: string;
  readonly revision: bigint;
  /** Revision that it was decided on; absent where the log does not say. */
  readonly previousRevision?: bigint | undefined;
  /** When it was committed, by the server's clock. */
  readonly timeMs: number;
  readonly events: RunEvent[];
  /** Of the events, in order. */
  readonly digests: readonly string[];
}

/** Everything that the checker compares. */
export interface History {
  readonly accepted: readonly AcceptedRun[];
  /** By run, in the order of the log. */
  readonly batches: ReadonlyMap<string, readonly LoggedBatch[]>;
  /** What watchers were shown. */
  readonly seen: readonly { readonly run: string; readonly revision: bigint; readonly digest: string }[];
  readonly journal: readonly JournalLine[];
  /** The unit that a checkpoint goes on with, by digest. */
  readonly checkpointUnits: ReadonlyMap<string, number>;
  /** Of the front door; absent: none. */
  readonly surprises?: readonly Surprise[];
}

/** A promise that was not kept. */
export interface Violation {
  readonly rule: string;
  readonly run: string;
  readonly detail: string;
  /** Units of work that were done again and should not have been. */
  readonly redone?: number;
}

/** What the checker found. */
export interface Findings {
  readonly runs: number;
  readonly steps: number;
  readonly transitionsChecked: number;
  readonly pauses: number;
  readonly cancelled: number;
  readonly fallbacks: number;
  readonly cacheHits: number;
  readonly leases: number;
  readonly poisoned: number;
  readonly unitsDone: number;
  readonly unitsRedone: number;
  readonly lost: number;
  readonly doubled: number;
  readonly notTerminal: number;
  readonly digestMismatches: number;
  readonly unwarranted: number;
  readonly unexplainedErrors: number;
  readonly redoneBeyondPromise: number;
  readonly violations: readonly Violation[];
}

export function check(history: History): Findings;
