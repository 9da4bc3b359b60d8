import { setTimeout as delay } from 'node:timers/promises';
import { CachePolicy, FailureClass, type RunEvent, TaskFailedSchema } from '@agentforge/contracts';
import { AppError, isAppError } from '@agentforge/errors';
import { followRun, isTerminalRun, type RunBatch, type RunRecord } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { RunQuarantinedError } from '../orchestrator.errors.js';
import { RunLeases } from '../scheduling/run-leases.js';
import { type Scheduling, settleLeases } from '../scheduling/settle-leases.js';
import { heldSlots } from './admission/explain.js';
import { freeSlots } from './admission/run.js';
import { decide } from './decide.js';
import { type EngineOptions, type EnginePorts, engineTimeMs } from './engine-ports.js';
import type { DecideContext, EngineInput } from './inputs.js';
import { RunEffects } from './run-effects.js';

/** Inputs that are decided together at most: enough to amortise an append, few enough to fit into a message. */
const MAX_INPUTS = 64;
/** How often an append that lost its race is decided again; more often means that the log cannot be followed. */
const MAX_CONFLICTS = 100;
/** How often an append whose outcome is unknown is tried again before its inputs are handed back. */
const MAX_TRIES = 5;

interface Pending {
  readonly input: EngineInput;
  readonly resolve: (state: RunRecord) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One run in one replica: takes inputs one batch at a time, decides them on the folded log, appends with
 * compare-and-set, then does what the committed events ask for. Other replicas may do the same with the same run;
 * whoever appends second reads what happened and decides again.
 */
export class RunActor {
  readonly effects: RunEffects;
  readonly leases: RunLeases;
  #state: RunRecord | undefined;
  #queue: Pending[] = [];
  #isWorking = false;
  #observed: RunBatch[] = [];
  #lastChangeMs: number;
  #waitingSinceMs: number;
  #isMine = false;
  /** Revision of the batch that could not be followed. */
  #brokenAt = 0n;
  /** The replica that committed last, as it writes its name into events. */
  #owner = '';
  #owesThoroughTick = false;

  constructor(
    readonly run: string,
    private readonly ports: EnginePorts,
    private readonly options: EngineOptions,
    private readonly scheduling: Scheduling,
    state?: RunRecord,
  ) {
    this.#state = state;
    this.#lastChangeMs = engineTimeMs(ports);
    this.#waitingSinceMs = this.#lastChangeMs;
    const policy = options.cachePolicy ?? CachePolicy.OFF;
    this.effects = new RunEffects(run, ports, (input) => this.tell(input), policy);
    if (state) scheduling.census.observe(state);
    this.leases = new RunLeases(run, scheduling.scheduler);
  }

  /** The newest state that is known to be committed. */
  get state(): RunRecord | undefined {
    return this.#state;
  }

  get isIdle(): boolean {
    return !this.#isWorking && this.#queue.length === 0 && this.effects.isIdle;
  }

  get idleSinceMs(): number {
    return this.#lastChangeMs;
  }

  get hasEnded(): boolean {
    return this.#state !== undefined && isTerminalRun(this.#state.state);
  }

  /** Whether the log of the run cannot be followed: nothing is decided any more. */
  get isQuarantined(): boolean {
    return this.#state?.quarantine !== undefined;
  }

  /** Resolves with the state after the input is committed, also when it changes nothing; rejects when it is refused. */
  post(input: EngineInput): Promise<RunRecord> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ input, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Posts an input whose outcome nobody waits for. */
  tell(input: EngineInput): void {
    this.post(input).catch((error: unknown) => {
      if (input.kind === 'tick') this.#owesThoroughTick ||= input.isThorough;
      this.ports.logger.debug('events.handler_failed', { runId: this.run, operation: input.kind, error });
    });
  }

  /** Takes in a batch that was committed, by this replica or another one. */
  observe(batch: RunBatch): void {
    const isFirst = batch.events[0]?.payload.case === 'runCreated';
    // Of a run that is not loaded yet, a later batch says nothing: whoever needs the run reads its log.
    if (this.#state === undefined && !isFirst) return;
    if (this.#isWorking) this.#observed.push(batch);
    else this.#fold(batch);
  }

  /** Looks for what is due. Leaves a run alone while another replica looks after it. */
  sweep(nowMs: number): void {
    if (this.#state === undefined || this.hasEnded || this.isQuarantined) return;
    const isTakeover = !this.#isMine && this.#isLeftToMe(nowMs - this.#lastChangeMs);
    if (!this.#isMine && !isTakeover) return;
    this.effects.redo(this.#state, isTakeover, nowMs - this.options.takeoverMs);
    const isThorough = isTakeover || this.#owesThoroughTick;
    this.#owesThoroughTick = false;
    if (isTakeover) this.#lastChangeMs = nowMs;
    this.tell({ kind: 'tick', isThorough });
  }

  /** Takes a run over at the start, unless another replica looks after it: finds everything that is due. */
  recover(): void {
    if (!this.#isLeftToMe(Number.POSITIVE_INFINITY)) return;
    this.#isMine = true;
    if (this.#state === undefined || this.hasEnded || this.isQuarantined) return;
    this.effects.redo(this.#state, true, Number.POSITIVE_INFINITY);
    this.tell({ kind: 'tick', isThorough: true });
  }

  #isLeftToMe(silentMs: number): boolean {
    const { takeoverMs } = this.options;
    const { affinity } = this.ports;
    if (affinity === undefined) return silentMs > takeoverMs;
    return affinity.mayTakeOver(this.run, this.#owner, silentMs, takeoverMs);
  }

  /** Reads what was committed since the state that is known. */
  async catchUp(): Promise<void> {
    const afterRevision = this.#state?.revision ?? 0n;
    for (const batch of await this.ports.log.read(this.run, { afterRevision })) this.#fold(batch);
  }

  /**
   * Reads the log of a run in quarantine again: what this replica was sent may have a gap that the log does not have.
   * @returns whether the run can be followed
   */
  async recheck(): Promise<boolean> {
    if (!this.isQuarantined) return true;
    const state = await this.ports.log.load(this.run);
    if (!this.isQuarantined) return true;
    if (state === undefined || state.quarantine || state.revision < this.#brokenAt) return false;
    this.#state = state;
    this.#lastChangeMs = engineTimeMs(this.ports);
    this.scheduling.census.observe(state);
    this.ports.logger.info('run.recovered', { runId: this.run });
    return true;
  }

  #fold(batch: RunBatch): void {
    if (batch.revision <= (this.#state?.revision ?? 0n)) return;
    const wasQuarantined = this.isQuarantined;
    const state = followRun(this.#state, batch);
    this.#state = state;
    this.#isMine = false;
    if (state.quarantine === undefined) this.#committed(batch.events);
    else if (!wasQuarantined) {
      this.#brokenAt = batch.revision;
      this.scheduling.census.observe(state);
      this.ports.logger.error('run.quarantined', {
        runId: this.run,
        revision: String(batch.revision),
        error: new RunQuarantinedError(this.run, state.quarantine),
      });
      void this.#tryTo('recheck', () => this.recheck());
    }
  }

  #committed(events: readonly RunEvent[]): void {
    this.#lastChangeMs = engineTimeMs(this.ports);
    this.#owner = events.at(-1)?.actor ?? '';
    if (events.some(({ payload }) => payload.case === 'runResumed'))
      this.#waitingSinceMs = this.#lastChangeMs;
    if (this.#state === undefined) return;
    this.effects.remember(events, this.#state);
    this.scheduling.census.observe(this.#state);
    settleLeases(events, this.#state, this.leases, this.scheduling.scheduler);
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    try {
      while (this.#queue.length > 0) {
        await this.#commit(this.#queue.splice(0, MAX_INPUTS));
        this.#foldObserved();
      }
    } finally {
      this.#isWorking = false;
    }
  }

  #foldObserved(): void {
    const observed = this.#observed;
    this.#observed = [];
    for (const batch of observed) this.#fold(batch);
  }

  async #commit(taken: Pending[]): Promise<void> {
    let pending = taken;
    for (let tries = 1; pending.length > 0; tries++) {
      try {
        await this.#decideAndAppend(pending);
        return;
      } catch (thrown) {
        const error = AppError.from(thrown);
        if (error.code === 'ABORTED' && tries < MAX_CONFLICTS) {
          await this.#tryTo('catch-up', () => this.catchUp());
        } else if (isPassing(error) && tries < MAX_TRIES) {
          pending = rejectCommands(pending, error);
          await delay(50 * 2 ** tries);
          await this.#tryTo('catch-up', () => this.catchUp());
        } else if (isTooLarge(error) && pending.length > 1) {
          for (const one of pending) await this.#commit([one]);
          return;
        } else if (isTooLarge(error) && !isGivenUp(pending)) {
          pending = pending.map((one) => ({ ...one, input: withoutResult(one.input, error) }));
        } else {
          for (const { reject } of pending) reject(thrown);
          return;
        }
      }
    }
  }

  /** Does what may fail now and is done again later. */
  async #tryTo(operation: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.ports.logger.debug('events.handler_failed', { runId: this.run, operation, error });
    }
  }

  async #decideAndAppend(pending: readonly Pending[]): Promise<void> {
    const before = this.#state;
    if (before?.quarantine) throw new RunQuarantinedError(this.run, before.quarantine);
    const { transition, refusals } = decide(
      this.run,
      before,
      pending.map(({ input }) => input),
      this.context(),
    );
    const { events } = transition;
    if (events.length > 0) {
      const revision = await this.ports.log.append(this.run, events, before?.revision ?? 0n);
      this.#state = { ...transition.state, revision };
      this.#isMine = true;
      this.#committed(events);
      this.effects.perform(events, this.#state);
    }
    if (this.#state) for (const stepId of transition.checks) this.effects.judgeInputs(this.#state, stepId);
    if (this.#state)
      for (const stepId of transition.cacheQuestions) this.effects.cache.ask(this.#state, stepId);
    for (const [phase, stepId] of transition.probeQuestions) this.#claimProbe(phase, stepId);
    if (this.#state) for (const stepId of transition.leaseQuestions) this.leases.ask(this.#state, stepId);
    if (transition.hasMore) this.tell({ kind: 'tick', isThorough: true });
    pending.forEach(({ resolve, reject }, i) => {
      if (refusals.has(i)) reject(refusals.get(i));
      else if (this.#state) resolve(this.#state);
      else reject(new AppError('NOT_FOUND', `there is no run "${this.run}"`));
    });
  }

  /** A breaker lets one attempt pass: asks to be it, and decides again when it is. */
  #claimProbe(phase: string, stepId: string): void {
    void this.ports.breakers?.claim(phase, this.run, stepId).then((isGranted) => {
      if (isGranted) this.tell({ kind: 'tick', isThorough: false });
    });
  }

  /** What the engine knows besides the log, as the next decision would see it. */
  context(): DecideContext {
    const { effects, ports } = this;
    return {
      nowMs: engineTimeMs(ports),
      actor: this.options.actor,
      defaultParallelSteps: this.options.defaultParallelSteps,
      waitingSinceMs: this.#waitingSinceMs,
      breakerOf: (phase, stepId) => ports.breakers?.answerOf(phase, this.run, stepId),
      ...(ports.results ? { cacheAnswerOf: (step) => effects.cache.answerOf(step) } : {}),
      fallbackOf: (phase) => ports.phases.get(phase)?.fallback ?? '',
      phaseVersionOf: (phase) => ports.phases.get(phase)?.version ?? '',
      hasOutputsToJudge: (phase) => ports.phases.get(phase)?.outputs.length !== 0,
      areInputsAccepted: (stepId) => effects.areInputsAccepted(stepId),
      checking: effects.checking,
      leaseAnswerOf: (step) => this.leases.answerOf(step),
      leasesAsked: this.leases.size,
      lastSignMs: (attemptId) => effects.lastSignMs(attemptId),
    };
  }

  /** The same for people, who ask any replica: with what others asked for on behalf of the run. */
  outlook(run: RunRecord): DecideContext {
    const context = this.context();
    const slots = freeSlots(run, context.defaultParallelSteps, heldSlots(context));
    const { asked, answerOf } = this.leases.outlook(run, slots, context.nowMs);
    return { ...context, leaseAnswerOf: answerOf, leasesAsked: asked };
  }
}

/** Callers are told at once that the outcome is unknown; reports and ticks are tried again, which harms nothing. */
function rejectCommands(pending: readonly Pending[], error: AppError): Pending[] {
  return pending.filter(({ input, reject }) => {
    const isCommand = ['create', 'add-steps', 'pause', 'resume', 'cancel', 'retry'].includes(input.kind);
    if (isCommand) reject(error);
    return !isCommand;
  });
}

/** The batch can never be committed as it is. */
const isTooLarge = (error: AppError): boolean =>
  error.code === 'RESOURCE_EXHAUSTED' && error.reason === 'MESSAGE_TOO_LARGE';

/** The log is away or has no room: nothing is wrong with the inputs. */
const isPassing = (error: AppError): boolean =>
  error.code === 'UNAVAILABLE' || (error.code === 'RESOURCE_EXHAUSTED' && !isTooLarge(error));

const isGivenUp = (pending: readonly Pending[]): boolean =>
  pending.every(({ input }) => input.kind !== 'report' || input.report.payload.case !== 'succeeded');

/** A result that is too large for the log ends the attempt instead: the next one would be as large. */
function withoutResult(input: EngineInput, error: AppError): EngineInput {
  if (input.kind !== 'report' || input.report.payload.case !== 'succeeded') return input;
  const failure = {
    $typeName: 'agentforge.failure.v1.Failure' as const,
    code: 'RESOURCE_EXHAUSTED',
    message: `the result does not fit into the event log: ${isAppError(error) ? error.message : ''}`,
    reason: 'RESULT_TOO_LARGE',
    fieldViolations: [],
    failureClass: FailureClass.PERMANENT,
  };
  return {
    kind: 'report',
    report: {
      ...input.report,
      payload: { case: 'failed', value: create(TaskFailedSchema, { failure }) },
    },
  };
}
