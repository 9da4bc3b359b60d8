import { type RunEvent, RunState, StepState } from '@agentforge/contracts';

/** Name of a kind of event, as the oneof has it. */
export type RunEventCase = NonNullable<RunEvent['payload']['case']>;

/** Kinds of events about the whole run. */
export type RunLevelCase = Extract<RunEventCase, `run${string}` | 'stepsAdded'>;

/** Kinds of events about one step. */
export type StepLevelCase = Exclude<RunEventCase, RunLevelCase>;

/** Payload of an event about one step. */
export type StepPayload = Extract<RunEvent['payload'], { case: StepLevelCase }>;

/** When an event about the whole run is allowed, and the run's state after it. */
export interface RunTransition {
  /** States of the run before; empty: the run must not exist. */
  readonly from: readonly RunState[];
  /** State after; `unchanged`, or `resumed`: RUNNING, or PENDING while nothing was ever scheduled. */
  readonly to: RunState | 'unchanged' | 'resumed';
}

/** When an event about a step is allowed, and the step's state after it. */
export interface StepTransition {
  /** States of the run in which it is allowed. */
  readonly runStates: readonly RunState[];
  /** States of the step before. */
  readonly from: readonly StepState[];
  readonly to: StepState | 'unchanged';
}

const { PENDING, RUNNING, PAUSED, CANCELLING, COMPLETED, FAILED, CANCELLED } = RunState;
/** The run has not ended. */
const LIVE = [PENDING, RUNNING, PAUSED, CANCELLING] as const;
/** The run has not ended and is not being stopped. */
const OPEN = [PENDING, RUNNING, PAUSED] as const;
const ALL_RUNS = [...LIVE, COMPLETED, FAILED, CANCELLED] as const;
const ALL_STEPS = [
  StepState.PENDING,
  StepState.READY,
  StepState.RUNNING,
  StepState.VALIDATING,
  StepState.COMPLETED,
  StepState.FAILED,
  StepState.SKIPPED,
  StepState.BLOCKED,
  StepState.CANCELLED,
] as const;

/** Events about the whole run. Conditions beyond the state are in the fold. */
export const RUN_TRANSITIONS: { readonly [Case in RunLevelCase]: RunTransition } = {
  runCreated: { from: [], to: PENDING },
  runPaused: { from: [PENDING, RUNNING], to: PAUSED },
  runResumed: { from: [PAUSED], to: 'resumed' },
  runCancelRequested: { from: OPEN, to: CANCELLING },
  runCompleted: { from: OPEN, to: COMPLETED },
  runFailed: { from: OPEN, to: FAILED },
  runCancelled: { from: [CANCELLING], to: CANCELLED },
  runRetried: { from: [COMPLETED, FAILED, CANCELLED], to: 'resumed' },
  stepsAdded: { from: OPEN, to: 'unchanged' },
};

/** Events about one step. Conditions beyond the states are in the fold. */
export const STEP_TRANSITIONS: { readonly [Case in StepLevelCase]: StepTransition } = {
  stepReady: { runStates: OPEN, from: [StepState.PENDING], to: StepState.READY },
  stepScheduled: { runStates: [PENDING, RUNNING], from: [StepState.READY], to: StepState.RUNNING },
  stepStarted: { runStates: LIVE, from: [StepState.RUNNING], to: 'unchanged' },
  stepCheckpointed: { runStates: LIVE, from: [StepState.RUNNING], to: 'unchanged' },
  stepReported: { runStates: LIVE, from: [StepState.RUNNING], to: StepState.VALIDATING },
  stepAttemptFailed: {
    runStates: LIVE,
    from: [StepState.RUNNING, StepState.VALIDATING],
    to: StepState.READY,
  },
  stepCompleted: { runStates: LIVE, from: [StepState.VALIDATING], to: StepState.COMPLETED },
  stepFailed: { runStates: LIVE, from: [StepState.PENDING, StepState.READY], to: StepState.FAILED },
  stepFallbackUsed: { runStates: OPEN, from: [StepState.READY], to: 'unchanged' },
  stepSkipped: { runStates: OPEN, from: [StepState.PENDING, StepState.READY], to: StepState.SKIPPED },
  stepBlocked: { runStates: LIVE, from: [StepState.PENDING], to: StepState.BLOCKED },
  stepCancelled: {
    runStates: LIVE,
    from: [StepState.PENDING, StepState.READY, StepState.RUNNING, StepState.VALIDATING],
    to: StepState.CANCELLED,
  },
  stepCacheHit: { runStates: [PENDING, RUNNING], from: [StepState.READY], to: StepState.COMPLETED },
  reportRefused: { runStates: ALL_RUNS, from: ALL_STEPS, to: 'unchanged' },
};
