import { RunState, StepState, WaitKind } from '@agentforge/contracts';
import { attemptIdOf, type RunRecord, type StepRecord, stepOf, stepsIn } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { LeaseAnswer } from '../engine/admission/lease.js';
import type { Request } from './domain/plan.js';
import type { Asked, Asker, LeaseScheduler } from './lease-scheduler.js';
import { projectIdOf } from './run-census.js';
import { amountsOf } from './scheduling.mapper.js';

/** What is known of the READY steps of a run, wherever it was asked for. */
export interface Outlook {
  /** Steps that hold a slot of the run because somebody was, or will be, asked about them. */
  readonly asked: number;
  /** What the scheduler says about one; undefined when it needs neither resources nor a place in its project. */
  answerOf(step: StepRecord): LeaseAnswer | undefined;
}

/** What a replica asked the scheduler for on behalf of one run. All of it can be lost: the steps are asked for again. */
export class RunLeases implements Asker {
  readonly #asked = new Map<string, Asked>();

  readonly #project: string;

  constructor(
    private readonly run: string,
    private readonly scheduler: LeaseScheduler,
  ) {
    this.#project = projectIdOf(run);
  }

  /** Steps that hold a slot of the run because the scheduler was asked about them. */
  get size(): number {
    return this.#asked.size;
  }

  /** What is known of a READY step; undefined when it needs neither resources nor a place in its project. */
  answerOf(step: StepRecord): LeaseAnswer | undefined {
    const asked = this.#asked.get(step.spec.id);
    if (asked?.id === nextAttemptOf(this.run, step)) return asked.answer;
    return this.scheduler.concerns(this.#project, step) ? { kind: 'unasked' } : undefined;
  }

  /** Asks for what a READY step needs; a grant comes back as a tick of the run. */
  ask(state: RunRecord, stepId: string): void {
    const step = stepOf(state, stepId);
    if (step?.state !== StepState.READY) return;
    const id = nextAttemptOf(this.run, step);
    if (this.#asked.get(stepId)?.id === id) return;
    const asked: Asked = { id, stepId, answer: { kind: 'waiting', wait: WAITING }, grantedMs: 0 };
    this.#asked.set(stepId, asked);
    this.scheduler.ask(this, asked, this.#requestOf(state, step));
  }

  /**
   * What {@link answerOf} says, for people: also about steps for which another replica asked, and about those for which
   * it would ask next.
   * @param slots  how many more steps of the run may be in progress
   */
  outlook(state: RunRecord, slots: number, nowMs: number): Outlook {
    if (state.state !== RunState.PENDING && state.state !== RunState.RUNNING)
      return { asked: this.size, answerOf: (step) => this.answerOf(step) };
    const { requests, leased } = this.scheduler.writtenOf(this.run);
    const taken = new Set([...leased, ...requests.map(({ id }) => id)]);
    const next: Request[] = [];
    for (const step of stepsIn(state, StepState.READY)) {
      if (next.length >= slots - requests.length) break;
      if (this.#asked.has(step.spec.id) || !this.scheduler.concerns(this.#project, step)) continue;
      const isDue = !step.nextAttemptTime || timestampMs(step.nextAttemptTime) <= nowMs;
      const isKnown = taken.has(nextAttemptOf(this.run, step));
      if (isDue && !isKnown && !step.isExhausted) next.push(this.#requestOf(state, step));
    }
    const answers = this.scheduler.foresee([...requests, ...next]);
    return {
      asked: this.size + answers.size,
      answerOf: (step) => {
        const id = nextAttemptOf(this.run, step);
        return leased.has(id) ? { kind: 'granted' } : (answers.get(id) ?? this.answerOf(step));
      },
    };
  }

  /** Whether what was asked for is still what the step waits for. */
  isWanted(state: RunRecord | undefined, { id, stepId }: Asked): boolean {
    if (state === undefined || this.#asked.get(stepId)?.id !== id) return false;
    if (state.state !== RunState.PENDING && state.state !== RunState.RUNNING) return false;
    const step = stepOf(state, stepId);
    return step?.state === StepState.READY && nextAttemptOf(this.run, step) === id;
  }

  /** A step was scheduled, or will not be: it waits no more. @param id  only if this is what was asked for */
  settle(stepId: string, id?: string): void {
    if (id === undefined || this.#asked.get(stepId)?.id === id) this.#asked.delete(stepId);
  }

  #requestOf(state: RunRecord, step: StepRecord): Request {
    const { phase, resources } = step.spec;
    return {
      id: nextAttemptOf(this.run, step),
      run: this.run,
      project: this.#project,
      phase,
      priority: state.priority,
      sinceMs: timestampMs(step.readyTime ?? state.createTime),
      amounts: amountsOf(resources),
    };
  }
}

const WAITING = { kind: WaitKind.RESOURCES, detail: 'its resources were asked for' } as const;

/** The id that the next attempt of a step will have. */
const nextAttemptOf = (run: string, step: StepRecord): string =>
  attemptIdOf(run, step.spec.id, step.attempts.length + 1);
