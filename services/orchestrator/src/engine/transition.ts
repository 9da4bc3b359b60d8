import { type Failure, type RunEvent, RunEventSchema, RunState, StepState } from '@agentforge/contracts';
import { countIn, foldEvent, type RunRecord, type StepRecord, stepOf } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { DecideContext } from './inputs.js';

type RunEventInit = MessageInitShape<typeof RunEventSchema>;
/** Payload of an event to be decided. */
export type Payload = NonNullable<RunEventInit['payload']>;

/** A batch is cut at this many events, so that it stays far below the size of a message; the rest follows. */
export const MAX_BATCH_EVENTS = 1_000;

/**
 * Events that are decided together, and the run as they leave it. The run it started from is not touched, so a
 * transition that cannot be committed is simply dropped.
 */
export class Transition {
  readonly events: RunEvent[] = [];
  /** Steps whose inputs must be judged before they can be scheduled. */
  readonly checks: string[] = [];
  /** Steps about which the step cache must be asked first. */
  readonly cacheQuestions: string[] = [];
  /** Steps for which resources must be asked for first. */
  readonly leaseQuestions: string[] = [];
  /** By phase whose breaker lets one attempt pass: the first step that wants to be it. */
  readonly probeQuestions = new Map<string, string>();
  /** Something is left to decide after this batch. */
  hasMore = false;
  #state: RunRecord | undefined;
  readonly #time;

  constructor(
    readonly run: string,
    state: RunRecord | undefined,
    readonly context: DecideContext,
  ) {
    this.#state = state;
    this.#time = timestampFromMs(context.nowMs);
  }

  /** The run after the events so far; undefined before it was created. */
  get current(): RunRecord | undefined {
    return this.#state;
  }

  /** The run after the events so far. Only for runs that exist. */
  get state(): RunRecord {
    if (this.#state === undefined) throw new Error(`run "${this.run}" does not exist yet`);
    return this.#state;
  }

  get isFull(): boolean {
    return this.events.length >= MAX_BATCH_EVENTS;
  }

  /** Adds an event. Throws IllegalTransitionError and changes nothing when the run's state does not allow it. */
  emit(payload: Payload): void {
    const event = create(RunEventSchema, { time: this.#time, actor: this.context.actor, payload });
    this.#state = foldEvent(this.#state, this.run, event);
    this.events.push(event);
  }

  /** Runs a part that either adds all of its events or, when it throws, none. */
  attempt(part: () => void): void {
    const state = this.#state;
    const length = this.events.length;
    try {
      part();
    } catch (error) {
      this.#state = state;
      this.events.length = length;
      throw error;
    }
  }

  /** The step as the events so far leave it; undefined when the run has no such step. */
  step(stepId: string): StepRecord | undefined {
    return this.#state === undefined ? undefined : stepOf(this.#state, stepId);
  }
}

/** Steps that will not change any more. */
export function countTerminal(state: RunRecord): number {
  return (
    countIn(state, StepState.COMPLETED) +
    countIn(state, StepState.SKIPPED) +
    countIn(state, StepState.FAILED) +
    countIn(state, StepState.BLOCKED) +
    countIn(state, StepState.CANCELLED)
  );
}

/** "PAUSED", "RUNNING" and so on, for messages. */
export const runStateName = (state: RunState): string => RunState[state] ?? String(state);

/** A failure as events carry it. */
export type FailureInit = Pick<Failure, 'code' | 'message' | 'reason' | 'failureClass'> &
  Partial<Pick<Failure, 'fieldViolations'>>;
