import {
  AttemptState,
  type Failure,
  FailureClass,
  FailureSchema,
  type RunEvent,
  StepState,
  TaskDirectiveSchema,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import {
  openAttempt,
  type RunRecord,
  resolveInputs,
  type StepRecord,
  stepOf,
  stepsIn,
} from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { CacheDesk } from './cache/cache-desk.js';
import type { EffectivePolicy } from './cache/reuse-rules.js';
import { refusalOf } from './decide-verdict.js';
import { type Effect, effectsOf } from './effects.js';
import { type EnginePorts, engineTimeMs } from './engine-ports.js';
import type { EngineInput } from './inputs.js';
import { record } from './run-telemetry.js';
import { taskOf } from './tasks.js';

/** Codes of the judge that another try may not meet again. */
const WORTH_ANOTHER_TRY: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'CANCELLED',
  'ABORTED',
  'UNKNOWN',
  'INTERNAL',
]);

/**
 * What a replica does in the world for one run, and what it remembers besides the log. All of it can be lost: it is
 * derived again from the state of the run.
 */
export class RunEffects {
  /** Steps about which the judge or the step cache was asked. */
  readonly checking = new Set<string>();
  /** What is asked of the step cache and given to it. */
  readonly cache: CacheDesk;
  readonly #accepted = new Set<string>();
  readonly #judging = new Set<string>();
  /** Attempts whose task is known to be queued. */
  readonly #dispatched = new Set<string>();
  readonly #signs = new Map<string, number>();
  readonly #workers = new Map<string, string>();
  readonly #formerWorkers = new Map<string, Set<string>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #beganMs: number;

  constructor(
    private readonly run: string,
    private readonly ports: EnginePorts,
    private readonly tell: (input: EngineInput) => void,
    cachePolicy: EffectivePolicy,
  ) {
    this.#beganMs = engineTimeMs(ports);
    this.cache = new CacheDesk(run, ports, cachePolicy, this.checking, tell);
  }

  get isIdle(): boolean {
    return this.checking.size === 0 && this.#judging.size === 0;
  }

  areInputsAccepted(stepId: string): boolean {
    return this.#accepted.has(stepId);
  }

  /** When a worker last said something about the attempt; when this replica began to listen, if it has not. */
  lastSignMs(attemptId: string): number {
    return this.#signs.get(attemptId) ?? this.#beganMs;
  }

  /** A worker said something about the attempt. */
  sign(attemptId: string): void {
    this.#signs.set(attemptId, engineTimeMs(this.ports));
  }

  /** Workers that started the attempt before the one that has it now. */
  formerWorkers(attemptId: string): ReadonlySet<string> | undefined {
    return this.#formerWorkers.get(attemptId);
  }

  /** Keeps notes about committed events, whoever decided them. */
  remember(events: readonly RunEvent[], state: RunRecord): void {
    for (const event of events) {
      const { payload } = event;
      this.cache.remember(event);
      if (payload.case === 'stepStarted') this.#started(payload.value.attemptId, payload.value.worker);
      else if (payload.case === 'stepAttemptFailed' || payload.case === 'stepReported')
        this.#closed(payload.value.attemptId);
      else if (payload.case === 'stepCacheHit') this.#accepted.delete(payload.value.stepId);
      else if (payload.case === 'stepCompleted' || payload.case === 'stepCancelled') {
        this.#accepted.delete(payload.value.stepId);
        const attempt = stepOf(state, payload.value.stepId)?.attempts.at(-1);
        if (attempt) this.#closed(attempt.id);
      } else if (payload.case === 'runRetried') this.#accepted.clear();
    }
  }

  /** Does what events that this replica committed ask for. */
  perform(events: readonly RunEvent[], state: RunRecord): void {
    record(events, state, this.ports);
    for (const effect of effectsOf(events, state)) this.#perform(effect, state);
    for (const event of events) this.cache.perform(event, state);
  }

  /**
   * Does again what may be undone.
   * @param isTakeover          also what another replica may be doing
   * @param queuedBeforeMs      tasks queued before this time are published once more by a replica that did not yet
   */
  redo(state: RunRecord, isTakeover: boolean, queuedBeforeMs: number): void {
    for (const step of stepsIn(state, StepState.RUNNING)) {
      const attempt = openAttempt(step);
      if (attempt?.state !== AttemptState.QUEUED || this.#dispatched.has(attempt.id)) continue;
      const isOld = attempt.scheduleTime === undefined || timestampMs(attempt.scheduleTime) < queuedBeforeMs;
      if (isTakeover || isOld) void this.#dispatch(state, step);
    }
    for (const step of stepsIn(state, StepState.VALIDATING)) void this.#judgeOutputs(state, step);
    if (!isTakeover) return;
    for (const step of stepsIn(state, StepState.READY))
      if (step.nextAttemptTime) this.#wake(timestampMs(step.nextAttemptTime));
  }

  /** Has the inputs of a READY step judged; the outcome comes back as an input. */
  judgeInputs(state: RunRecord, stepId: string): void {
    const step = stepOf(state, stepId);
    const phase = step && this.ports.phases.get(step.spec.phase);
    if (!step || !phase || this.checking.has(stepId)) return;
    this.checking.add(stepId);
    const subject = { phase, config: step.spec.config ?? {}, inputs: resolveInputs(state, step) };
    this.ports.judge.judgeInputs(subject).then(
      (verdicts) => {
        this.checking.delete(stepId);
        const refusal = refusalOf(verdicts, 'INVALID_ARGUMENT');
        if (refusal === undefined) this.#accepted.add(stepId);
        this.tell({
          kind: 'inputs-judged',
          stepId,
          ...(refusal ? { failure: create(FailureSchema, refusal) } : {}),
        });
      },
      (thrown: unknown) => {
        this.checking.delete(stepId);
        const failure = this.#permanentFailure(thrown, stepId);
        if (failure) this.tell({ kind: 'inputs-judged', stepId, failure });
      },
    );
  }

  /** Lets go of timers. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #perform(effect: Effect, state: RunRecord): void {
    switch (effect.kind) {
      case 'dispatch': {
        const step = stepOf(state, effect.stepId);
        if (step) void this.#dispatch(state, step);
        return;
      }
      case 'judge-outputs': {
        const step = stepOf(state, effect.stepId);
        if (step) void this.#judgeOutputs(state, step);
        return;
      }
      case 'direct':
        this.ports.workers.direct(
          create(TaskDirectiveSchema, { attemptId: effect.attemptId, action: effect.action }),
        );
        return;
      case 'wake':
        this.#wake(effect.atMs);
        return;
      case 'forget':
        this.ports.workers.forget(effect.attemptId).catch(() => undefined);
        return;
      default:
        effect satisfies never;
    }
  }

  async #dispatch(state: RunRecord, step: StepRecord): Promise<void> {
    const attempt = openAttempt(step);
    if (attempt?.state !== AttemptState.QUEUED || this.#dispatched.has(attempt.id)) return;
    this.#dispatched.add(attempt.id);
    try {
      await this.ports.workers.dispatch(taskOf(state, step, attempt));
    } catch (error) {
      this.#dispatched.delete(attempt.id);
      this.ports.logger.warn('events.handler_failed', {
        runId: this.run,
        attemptId: attempt.id,
        operation: 'dispatch',
        error,
      });
    }
  }

  async #judgeOutputs(state: RunRecord, step: StepRecord): Promise<void> {
    const attempt = step.attempts.at(-1);
    const phase = this.ports.phases.get(step.spec.phase);
    if (!attempt || !phase || !step.reported || this.#judging.has(attempt.id)) return;
    this.#judging.add(attempt.id);
    const stepId = step.spec.id;
    try {
      const verdicts = await this.ports.judge.judgeOutputs({
        phase,
        config: step.spec.config ?? {},
        inputs: resolveInputs(state, step),
        result: step.reported,
      });
      this.tell({ kind: 'outputs-judged', stepId, attemptId: attempt.id, verdicts });
    } catch (thrown) {
      const failure = this.#permanentFailure(thrown, stepId);
      if (failure)
        this.tell({ kind: 'outputs-judged', stepId, attemptId: attempt.id, verdicts: [], failure });
    } finally {
      this.#judging.delete(attempt.id);
    }
  }

  /** The failure that an error of the judge amounts to; undefined when the sweep is to try again. */
  #permanentFailure(thrown: unknown, stepId: string): Failure | undefined {
    const error = AppError.from(thrown);
    this.ports.logger.warn('validation.finished', { runId: this.run, stepId, outcome: error.code, error });
    if (WORTH_ANOTHER_TRY.has(error.code)) return undefined;
    return create(FailureSchema, {
      code: error.code,
      message: `the artifacts could not be judged: ${error.message}`,
      reason: 'NOT_JUDGED',
      failureClass: FailureClass.PERMANENT,
    });
  }

  #wake(atMs: number): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.tell({ kind: 'tick', isThorough: false });
      },
      Math.min(Math.max(atMs - engineTimeMs(this.ports) + 1, 1), 2 ** 31 - 1),
    );
    timer.unref();
    this.#timers.add(timer);
  }

  #started(attemptId: string, worker: string): void {
    this.sign(attemptId);
    this.#dispatched.delete(attemptId);
    const before = this.#workers.get(attemptId);
    if (before !== undefined && before !== worker) {
      const former = this.#formerWorkers.get(attemptId) ?? new Set();
      former.add(before).delete(worker);
      this.#formerWorkers.set(attemptId, former);
    }
    this.#workers.set(attemptId, worker);
  }

  #closed(attemptId: string): void {
    this.#signs.delete(attemptId);
    this.#workers.delete(attemptId);
    this.#formerWorkers.delete(attemptId);
    this.#dispatched.delete(attemptId);
  }
}
