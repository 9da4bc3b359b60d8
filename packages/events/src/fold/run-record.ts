import {
  type ArtifactRef,
  type Attempt,
  AttemptState,
  type CacheOrigin,
  type Failure,
  RunState,
  type StepResult,
  type StepSpec,
  StepState,
  type Verdict,
} from '@agentforge/contracts';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import type { PersistentList } from './persistent-list.js';
import type { PositionSet } from './position-set.js';

/**
 * A run as its events tell it: all that is needed to decide what happens next. Never changed:
 * every event gives a new record that shares what did not change.
 */
export interface RunRecord {
  /** `projects/{project}/runs/{run}`. */
  readonly name: string;
  readonly displayName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Seed from which the steps' seeds are derived. */
  readonly seed: bigint;
  /** 0 means the service's default. */
  readonly maxParallelSteps: number;
  /** Steps of runs with a higher priority are admitted first. */
  readonly priority: number;
  readonly deadline: Duration | undefined;
  /** Since when the deadline counts: the creation, or the last retry. */
  readonly deadlineFrom: Timestamp;
  readonly state: RunState;
  /** In the order of the specification. */
  readonly steps: PersistentList<StepRecord>;
  readonly createTime: Timestamp;
  /** When a worker first started a step. */
  readonly startTime: Timestamp | undefined;
  readonly endTime: Timestamp | undefined;
  readonly failure: Failure | undefined;
  /** Why cancellation was asked for; empty when it was not. */
  readonly cancelReason: string;
  /** Idempotency key of the request that created the run. */
  readonly requestId: string;
  readonly requestDigest: string;
  /** `projects/{project}/schedules/{schedule}` of the schedule that created the run; empty for none. */
  readonly schedule: string;
  /** Steps that the run was created with, also those that are still to be added. */
  readonly totalSteps: number;
  /** Whether an attempt was ever scheduled. */
  readonly wasScheduled: boolean;
  /** Sequence of the last batch folded in. */
  readonly revision: bigint;
  /** Events folded in. */
  readonly eventCount: bigint;
  /** Why the log cannot be followed from here on; undefined for a sound run. No event sets it: a reader does. */
  readonly quarantine: Failure | undefined;
  /** Position of each step by id. */
  readonly positions: ReadonlyMap<string, number>;
  /** Positions of steps by their state. */
  readonly byState: ReadonlyMap<StepState, PositionSet>;
}

/** A run that is being folded: a copy of its own, that nobody else has. */
export type RunDraft = { -readonly [Key in Exclude<keyof RunRecord, 'byState'>]: RunRecord[Key] } & {
  byState: Map<StepState, PositionSet>;
};

/** A draft that starts as a record is. */
export function draftOf(run: RunRecord): RunDraft {
  return { ...run, byState: new Map(run.byState) };
}

/** A step as its events tell it. */
export interface StepRecord {
  /** Index in the run's steps. */
  readonly position: number;
  readonly spec: StepSpec;
  readonly state: StepState;
  /** Steps whose completion this one waits for: sources of inputs, then `after`; no duplicates. */
  readonly dependencies: readonly string[];
  /** Steps that wait for this one. */
  readonly dependents: readonly string[];
  /** Dependencies that are neither COMPLETED nor SKIPPED. */
  readonly unmetDependencies: number;
  /** A dependency that will not complete, the first that was known; undefined while there is none. */
  readonly lostDependency: string | undefined;
  /** All tries, oldest first. */
  readonly attempts: readonly Attempt[];
  /** Highest token any attempt had. */
  readonly fencingToken: bigint;
  /** Attempts that failed since the step was created or retried; releases do not count. */
  readonly failedAttempts: number;
  /** Attempts that were handed back since the step was created or retried. */
  readonly releases: number;
  /** The last attempt failed and none may follow: the step fails, or its fallback is used. */
  readonly isExhausted: boolean;
  /** Newest checkpoint of any attempt since the step was created or retried. */
  readonly checkpoint: ArtifactRef | undefined;
  /** When the step became READY: by its dependencies, or again after an attempt ended. */
  readonly readyTime: Timestamp | undefined;
  /** Earliest time of the next attempt. */
  readonly nextAttemptTime: Timestamp | undefined;
  /** What the attempt that succeeded delivered, before it is judged. */
  readonly reported: StepResult | undefined;
  /** What was delivered and accepted. */
  readonly result: StepResult | undefined;
  readonly verdicts: readonly Verdict[];
  readonly failure: Failure | undefined;
  /** Name of the fallback that took the place of the step's work; empty for none. */
  readonly fallback: string;
  /** Why that was needed. */
  readonly fallbackCause: Failure | undefined;
  /** Whose result the step took over; undefined when it did its own work. */
  readonly cachedFrom: CacheOrigin | undefined;
  /** Refused reports: see `hasRefusal`. */
  readonly refusals: readonly string[];
}

/** Reason of the failure of an attempt that was handed back: by a pause, or a worker that drains. */
export const RELEASED_REASON = 'RELEASED';

const TERMINAL_RUNS: ReadonlySet<RunState> = new Set([
  RunState.COMPLETED,
  RunState.FAILED,
  RunState.CANCELLED,
]);
const TERMINAL_STEPS: ReadonlySet<StepState> = new Set([
  StepState.COMPLETED,
  StepState.FAILED,
  StepState.SKIPPED,
  StepState.BLOCKED,
  StepState.CANCELLED,
]);

/** Whether a run in this state has ended. */
export function isTerminalRun(state: RunState): boolean {
  return TERMINAL_RUNS.has(state);
}

/** Whether a step in this state has ended. */
export function isTerminalStep(state: StepState): boolean {
  return TERMINAL_STEPS.has(state);
}

/** Whether dependents may go on after a step in this state. */
export function satisfiesDependents(state: StepState): boolean {
  return state === StepState.COMPLETED || state === StepState.SKIPPED;
}

/** Whether dependents can never go on after a step in this state. */
export function isLostForDependents(state: StepState): boolean {
  return isTerminalStep(state) && !satisfiesDependents(state);
}

/** Whether an attempt of the step is queued, executing or being judged. */
export function isActive(step: StepRecord): boolean {
  return step.state === StepState.RUNNING || step.state === StepState.VALIDATING;
}

/** The step with an id. */
export function stepOf(run: RunRecord, stepId: string): StepRecord | undefined {
  const position = run.positions.get(stepId);
  return position === undefined ? undefined : run.steps.at(position);
}

/** Steps in a state, in the order of the specification. O(steps / 32 + result). */
export function* stepsIn(run: RunRecord, state: StepState): Generator<StepRecord, void, undefined> {
  for (const position of run.byState.get(state) ?? []) {
    const step = run.steps.at(position);
    if (step) yield step;
  }
}

/** Whether all steps that the run was created with are there. Nothing becomes ready before. */
export function isWhole(run: RunRecord): boolean {
  return run.steps.length >= run.totalSteps;
}

/** The run as it is when its log cannot be followed: no further event is folded, and clients see why. */
export function quarantined(run: RunRecord, failure: Failure): RunRecord {
  return { ...run, quarantine: failure };
}

/** Number of steps in a state. O(1). */
export function countIn(run: RunRecord, state: StepState): number {
  return run.byState.get(state)?.size ?? 0;
}

/** The attempt that an active step works on; undefined while there is none. */
export function currentAttempt(step: StepRecord): Attempt | undefined {
  return isActive(step) ? step.attempts.at(-1) : undefined;
}

/** The attempt of a step that is queued or executing. */
export function openAttempt(step: StepRecord): Attempt | undefined {
  const attempt = step.attempts.at(-1);
  return attempt && (attempt.state === AttemptState.QUEUED || attempt.state === AttemptState.STARTED)
    ? attempt
    : undefined;
}

/** Whether a refused report was recorded. @param report what it reported: "succeeded", "failed", … */
export function hasRefusal(step: StepRecord, attemptId: string, token: bigint, report: string): boolean {
  return step.refusals.includes(refusalKey(attemptId, token, report));
}

/** What identifies a refused report. */
export function refusalKey(attemptId: string, token: bigint, report: string): string {
  return `${attemptId}/${token}/${report}`;
}

/** Steps that a step waits for: sources of its inputs, then `after`; no duplicates. */
export function dependenciesOf(spec: StepSpec): string[] {
  const ids = spec.inputs.flatMap(({ source }) =>
    source.case === 'stepOutput' ? [source.value.stepId] : [],
  );
  return [...new Set([...ids, ...spec.after])];
}
