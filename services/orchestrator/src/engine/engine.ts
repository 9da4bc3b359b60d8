import {
  type CacheExplanation,
  CachePolicy,
  type StepReport,
  type StepSpec,
  TaskAction,
  type TaskDirective,
  TaskDirectiveSchema,
  type TaskHeartbeat,
} from '@agentforge/contracts';
import {
  isTerminalRun,
  isWhole,
  type RunBatch,
  type RunRecord,
  stepOf,
  UnprocessableMessageError,
} from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import {
  QuotaExceededError,
  RunNotFoundError,
  RunQuarantinedError,
  StepNotFoundError,
  TooManyRunsError,
} from '../orchestrator.errors.js';
import { LeaseScheduler } from '../scheduling/lease-scheduler.js';
import { projectIdOf, RunCensus } from '../scheduling/run-census.js';
import type { Wait } from './admission/wait.js';
import { explainCache } from './cache/explain-cache.js';
import { directiveFor } from './directives.js';
import { type EngineOptions, type EnginePorts, engineTimeMs } from './engine-ports.js';
import { Explainer, type StepWaits } from './explain-run.js';
import { inDependencyOrder, needsParts, nextPart } from './graph-parts.js';
import type { CreateInput, EngineInput, RetryInput } from './inputs.js';
import type { OpenRuns } from './open-runs.js';
import { RunActor } from './run-actor.js';

/** When to try again after too many runs were active. */
const RETRY_AFTER_MS = 5_000;
/** Logs of runs that are read at the same time at the start. */
const READERS = 16;

/**
 * The engine of one replica: keeps every run that has not ended in memory by following the log of all runs, takes
 * reports and heartbeats, and looks for what is due. Any number of replicas may run.
 */
export class Engine {
  readonly #actors = new Map<string, RunActor>();
  readonly #stop = new AbortController();
  readonly #explainer: Explainer;
  /** Who uses what, over all replicas. */
  readonly census = new RunCensus();
  readonly scheduler: LeaseScheduler;
  readonly #starting = new Map<string, number>();
  #sweeper: NodeJS.Timeout | undefined;
  #isCaughtUp = false;
  #following: Promise<void> = Promise.resolve();

  constructor(
    private readonly ports: EnginePorts,
    private readonly options: EngineOptions,
    private readonly openRuns: OpenRuns,
  ) {
    this.#explainer = new Explainer(this.#actors, ports.workers);
    const { actor, leaseMs, patienceMs } = options;
    this.scheduler = new LeaseScheduler(
      {
        capacity: ports.capacity,
        census: this.census,
        logger: ports.logger,
        nowMs: () => engineTimeMs(ports),
        stateOf: (run) => this.#actors.get(run)?.state,
        wake: (run) => this.#actors.get(run)?.tell({ kind: 'tick', isThorough: false }),
      },
      { holder: actor, leaseMs, patienceMs },
    );
  }

  /** Resolves when the log has been read and every run that was in flight goes on. */
  async start(): Promise<void> {
    const afterSequence = await this.#restore();
    await new Promise<void>((resolve, reject) => {
      this.#following = this.#follow(afterSequence, resolve).catch(reject);
    });
    for (const actor of this.#actors.values()) {
      this.ports.logger.info('run.recovered', { runId: actor.run });
      actor.recover();
    }
    this.scheduler.start();
    await this.ports.workers.onReport((report) => this.#report(report));
    this.ports.workers.onHeartbeat(
      (heartbeat) => this.#heartbeat(heartbeat),
      ({ run, attemptId }) => this.#actors.get(run)?.effects.sign(attemptId),
    );
    this.#sweeper = setInterval(() => this.#sweep(), this.options.sweepMs);
    this.openRuns.every(this.options.snapshotIntervalMs);
  }

  /** Takes no more reports, and lets go of timers. What is in flight goes on at the next start, or elsewhere. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper);
    this.scheduler.stop();
    await this.ports.workers.stop();
    this.#stop.abort();
    for (const actor of this.#actors.values()) actor.effects.stop();
    await this.#following;
    await this.openRuns.stop();
  }

  /** When the newest snapshot of the runs that go on was written. */
  get savedAt(): Date | undefined {
    return this.openRuns.savedAt;
  }

  /** Runs that have not ended. */
  get activeRuns(): number {
    return this.census.active;
  }

  /** Runs whose log cannot be followed. */
  get quarantinedRuns(): number {
    let count = 0;
    for (const actor of this.#actors.values()) if (actor.isQuarantined) count++;
    return count;
  }

  /**
   * The newest state of a run, or undefined when there is no such run.
   * @param isFresh  read the log even when the run is in memory: another replica may be ahead
   */
  async stateOf(run: string, isFresh = false): Promise<RunRecord | undefined> {
    const actor = this.#actors.get(run);
    if (actor?.state === undefined) return this.ports.log.load(run);
    if (isFresh && (await this.ports.log.revisionOf(run)) > actor.state.revision) await actor.catchUp();
    return actor.state;
  }

  /**
   * Accepts a run.
   * @throws RESOURCE_EXHAUSTED: too many runs, or its project has too many that wait; FAILED_PRECONDITION when the run
   * exists; UNAVAILABLE
   */
  create(run: string, input: CreateInput): Promise<RunRecord> {
    return this.#accept(run, () => this.#write(run, input));
  }

  /**
   * Lets a run that has ended go on. It takes the room of a new one, and queues as that does.
   * @throws NOT_FOUND, FAILED_PRECONDITION, INVALID_ARGUMENT; RESOURCE_EXHAUSTED as {@link create}; UNAVAILABLE
   */
  async retry(run: string, input: RetryInput): Promise<RunRecord> {
    const actor = await this.#existing(run);
    if (actor === undefined) throw new RunNotFoundError(run);
    const retry = () => actor.post(input);
    return actor.hasEnded ? this.#accept(run, retry) : retry();
  }

  /** Does what makes a run active, if there is room for it. */
  async #accept(run: string, work: () => Promise<RunRecord>): Promise<RunRecord> {
    const project = projectIdOf(run);
    const starting = this.#starting.get(project) ?? 0;
    this.#checkRoom(project, starting);
    this.#starting.set(project, starting + 1);
    try {
      return await work();
    } finally {
      const left = (this.#starting.get(project) ?? 1) - 1;
      if (left > 0) this.#starting.set(project, left);
      else this.#starting.delete(project);
    }
  }

  /** @param starting  runs of the project that are being accepted right now */
  #checkRoom(project: string, starting: number): void {
    let all = this.census.active;
    for (const count of this.#starting.values()) all += count;
    if (all >= this.options.maxActiveRuns)
      throw new TooManyRunsError(this.options.maxActiveRuns, RETRY_AFTER_MS);
    const limit = this.ports.capacity.limitsOf(project)?.maxQueuedRuns ?? 0;
    const queued = this.census.usageOf(project).queued.size + starting;
    if (limit > 0 && queued >= limit) {
      this.ports.logger.info('quota.refused', {
        projectId: project,
        name: 'max_queued_runs',
        limit,
        value: queued,
      });
      throw new QuotaExceededError(project, 'max_queued_runs', limit, queued, RETRY_AFTER_MS);
    }
  }

  /** Writes a graph in as many parts as it needs. */
  async #write(run: string, input: CreateInput): Promise<RunRecord> {
    const { steps } = input.graph;
    if (!needsParts(steps)) return this.#actorOf(run, undefined).post(input);
    const ordered = inDependencyOrder(steps);
    const graph = { ...input.graph, steps: nextPart(ordered, 0) };
    await this.#actorOf(run, undefined).post({ ...input, graph, totalSteps: steps.length });
    return this.complete(run, ordered);
  }

  /**
   * Adds the steps that a run was created with and does not have yet. Whoever has them may go on where another one
   * stopped, or several at the same time.
   * @throws NOT_FOUND, FAILED_PRECONDITION when the run was stopped, UNAVAILABLE
   */
  async complete(run: string, steps: readonly StepSpec[]): Promise<RunRecord> {
    const ordered = inDependencyOrder(steps);
    const actor = await this.#existing(run);
    if (actor?.state === undefined) throw new RunNotFoundError(run);
    let { state } = actor;
    while (!isWhole(state)) {
      const { positions } = state;
      const missing = ordered.filter(({ id }) => !positions.has(id));
      const from = state.steps.length;
      state = await actor.post({ kind: 'add-steps', from, steps: nextPart(missing, 0) });
    }
    return state;
  }

  /** Hands an input to a run that exists. @throws NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE */
  async post(run: string, input: EngineInput): Promise<RunRecord> {
    const actor = await this.#existing(run);
    if (actor === undefined) throw new RunNotFoundError(run);
    return actor.post(input);
  }

  /** Reads what other replicas committed to a run, so that a command is decided on the newest state. */
  async refresh(run: string): Promise<void> {
    await this.stateOf(run, true);
  }

  /** Every reason why a step does not run. @throws NOT_FOUND, UNAVAILABLE */
  async explainStep(run: string, stepId: string): Promise<readonly Wait[]> {
    const waits = await this.#explainer.step(await this.#fresh(run), stepId);
    if (waits === undefined) throw new StepNotFoundError(run, [stepId]);
    return waits;
  }

  /** The steps of a run that wait for more than other steps, with every reason. @throws NOT_FOUND, UNAVAILABLE */
  async explainRun(run: string): Promise<readonly StepWaits[]> {
    return this.#explainer.run(await this.#fresh(run));
  }

  /** What the step cache says about a step. @throws NOT_FOUND, UNAVAILABLE */
  async explainCache(run: string, stepId: string): Promise<CacheExplanation> {
    const { state } = await this.#fresh(run);
    const step = state && stepOf(state, stepId);
    if (!step) throw new StepNotFoundError(run, [stepId]);
    return explainCache(this.ports, state, step, this.options.cachePolicy ?? CachePolicy.OFF);
  }

  /** A run with all that any replica committed. */
  async #fresh(run: string): Promise<RunActor> {
    const actor = await this.#existing(run);
    if (actor === undefined) throw new RunNotFoundError(run);
    await this.refresh(run);
    return actor;
  }

  async #existing(run: string): Promise<RunActor | undefined> {
    const actor = this.#actors.get(run);
    if (actor?.state !== undefined) return actor;
    const state = await this.ports.log.load(run);
    if (state === undefined) return undefined;
    const loaded = this.#actorOf(run, state);
    // Batches that were committed while the log was read went past an actor that did not exist yet.
    await loaded.catchUp();
    return loaded;
  }

  #actorOf(run: string, state: RunRecord | undefined): RunActor {
    let actor = this.#actors.get(run);
    if (actor === undefined) {
      actor = new RunActor(run, this.ports, this.options, this, state);
      this.#actors.set(run, actor);
    }
    return actor;
  }

  /** Loads the runs that go on, from a snapshot. @returns the sequence up to which the log need not be followed */
  async #restore(): Promise<bigint> {
    const snapshot = await this.openRuns.restore();
    if (snapshot === undefined) return 0n;
    const names = snapshot.openRuns.values();
    const readers = Array.from({ length: READERS }, async () => {
      for (const run of names) {
        const state = await this.ports.log.load(run);
        if (state && !isTerminalRun(state.state)) this.#actorOf(run, state);
      }
    });
    await Promise.all(readers);
    return snapshot.upTo;
  }

  async #follow(afterSequence: bigint, onCaughtUp: () => void): Promise<void> {
    const caughtUp = () => {
      this.#isCaughtUp = true;
      onCaughtUp();
    };
    const { signal } = this.#stop;
    for await (const batch of this.ports.log.tail({ afterSequence, signal, onCaughtUp: caughtUp })) {
      this.openRuns.observe(batch);
      try {
        this.#observe(batch);
      } catch (error) {
        this.ports.logger.error('events.handler_failed', {
          runId: batch.run,
          revision: String(batch.revision),
          error,
        });
      }
    }
  }

  /** While the log is replayed, runs that have ended are dropped at once, so that memory follows active runs only. */
  #observe(batch: RunBatch): void {
    const actor = this.#actors.get(batch.run);
    if (actor !== undefined) actor.observe(batch);
    else if (batch.events[0]?.payload.case === 'runCreated')
      this.#actorOf(batch.run, undefined).observe(batch);
    else if (batch.problem || batch.events.some(({ payload }) => payload.case === 'runRetried'))
      this.#existing(batch.run).catch((error: unknown) =>
        this.ports.logger.error('events.handler_failed', { runId: batch.run, operation: 'load', error }),
      );
    const state = this.#actors.get(batch.run)?.state;
    this.#tellBreakers(batch, state);
    if (!this.#isCaughtUp && state && isTerminalRun(state.state)) this.#actors.delete(batch.run);
  }

  /** A run that is not in memory yet is read for it; what it says may come late, and then an older count stands. */
  #tellBreakers(batch: RunBatch, state: RunRecord | undefined): void {
    const { breakers, log, logger } = this.ports;
    if (breakers === undefined || !breakers.isConcerned(batch)) return;
    if (state !== undefined) {
      breakers.observe(batch, state);
      return;
    }
    log.load(batch.run).then(
      (loaded) => loaded && breakers.observe(batch, loaded),
      (error: unknown) =>
        logger.warn('events.handler_failed', { runId: batch.run, operation: 'load for breakers', error }),
    );
  }

  /** Reports of a run that is in memory are queued before this returns, so that they keep their order. */
  #report(report: StepReport): Promise<unknown> {
    const actor = this.#actors.get(report.run);
    return actor?.state === undefined ? this.#lateReport(report) : this.#take(actor, report);
  }

  async #lateReport(report: StepReport): Promise<unknown> {
    const { run: runId, attemptId } = report;
    const actor = await this.#existing(runId);
    if (actor !== undefined) return this.#take(actor, report);
    this.ports.logger.warn('step.fenced', { runId, attemptId, reason: 'no such run' });
    throw new UnprocessableMessageError('RUN_UNKNOWN', `there is no run "${runId}"`);
  }

  /**
   * What a worker says about a run whose log is damaged is kept as a dead letter: it can be driven again when the log is
   * whole.
   */
  async #take(actor: RunActor, report: StepReport): Promise<unknown> {
    actor.effects.sign(report.attemptId);
    const input = { kind: 'report', report } as const;
    try {
      return await actor.post(input);
    } catch (error) {
      if (!(error instanceof RunQuarantinedError)) throw error;
      if (await actor.recheck()) return actor.post(input);
      throw new UnprocessableMessageError('RUN_QUARANTINED', error.message);
    }
  }

  /** ABANDON is final for a worker, so it is said only when the state is known to be the newest. */
  async #heartbeat(heartbeat: TaskHeartbeat): Promise<TaskDirective> {
    const actor = this.#actors.get(heartbeat.run);
    const former = actor?.effects.formerWorkers(heartbeat.attemptId);
    let action = directiveFor(actor?.state, heartbeat, former);
    if (action === TaskAction.ABANDON)
      action = directiveFor(await this.stateOf(heartbeat.run, true), heartbeat, former);
    return create(TaskDirectiveSchema, { attemptId: heartbeat.attemptId, action });
  }

  #sweep(): void {
    const nowMs = engineTimeMs(this.ports);
    for (const [run, actor] of this.#actors) {
      const isGone = actor.hasEnded || actor.state === undefined;
      if (isGone && actor.isIdle && nowMs - actor.idleSinceMs > this.options.idleMs) {
        actor.effects.stop();
        this.#actors.delete(run);
      } else actor.sweep(nowMs);
    }
  }
}
