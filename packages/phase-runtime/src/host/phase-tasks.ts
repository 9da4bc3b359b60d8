import type { StepProgress } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Consumption, DeliveredTask, Events } from '@agentforge/events';
import type { Logger, Metrics } from '@agentforge/telemetry';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import { SubtaskHelper } from '../subtasks/subtask-helper.js';
import { STOP } from '../worker/control.js';
import { CurveMetrics } from './curve-metrics.js';
import type { RuntimeOptions } from './runtime-options.js';
import { TaskExecution } from './task-execution.js';
import { ThreadPool } from './thread-pool.js';

/** A task that this replica does not execute. */
export class TaskNotFoundError extends AppError {
  constructor(attemptId: string) {
    super('NOT_FOUND', `this replica does not execute an attempt ${attemptId}`, { reason: 'TASK_NOT_FOUND' });
  }
}

/** The tasks of one replica: pulled from the queue of the phase, executed, listed, watched and stopped. */
export class PhaseTasks {
  private readonly executions = new Map<string, TaskExecution>();
  /** When each of them is over, by attempt. */
  private readonly ends = new Map<string, Promise<void>>();
  private consumption: Consumption | undefined;
  private isDraining = false;
  private readonly threads: ThreadPool;
  private readonly helper: SubtaskHelper;
  private readonly curves: CurveMetrics;

  constructor(
    private readonly phase: PhaseDefinition,
    private readonly options: RuntimeOptions,
    private readonly log: Logger,
    private readonly metrics: Metrics,
  ) {
    const { concurrency, tasksPerThread } = options;
    this.threads = new ThreadPool(phase.workerUrl, `phase-${phase.name}`, {
      size: concurrency,
      tasksPerThread,
    });
    const { threads } = this;
    const tasks = () => this.executions.size;
    this.curves = new CurveMetrics(phase.name, metrics);
    this.helper = new SubtaskHelper({ phase, options, threads, log, metrics, tasks });
  }

  /** Begins to pull tasks. */
  async start(events: Events): Promise<void> {
    if (!this.isDraining) this.threads.fill();
    const { concurrency, ackWaitMs } = this.options;
    this.consumption = await events.tasks.consume(
      this.phase.name,
      (delivered) => this.execute(delivered, events),
      { concurrency, ackWaitMs, isExecuting: (attemptId) => this.ends.has(attemptId) },
    );
    if (this.isDraining) await this.consumption.stopPulling();
    else this.helper.start(events);
  }

  /** What this replica executes, oldest first. */
  list(): readonly TaskExecution[] {
    return [...this.executions.values()];
  }

  /**
   * The progress of a task until it ends.
   * @throws TaskNotFoundError  NOT_FOUND
   */
  watch(attemptId: string, signal: AbortSignal): AsyncGenerator<StepProgress> {
    return this.execution(attemptId).feed.watch(signal);
  }

  /**
   * Stops a task without a checkpoint.
   * @throws TaskNotFoundError  NOT_FOUND
   */
  cancel(attemptId: string): void {
    this.execution(attemptId).stop(STOP.cancel);
  }

  /** Pulls nothing more, and gives back what it computes for others. */
  async stopPulling(): Promise<void> {
    this.isDraining = true;
    await Promise.all([this.consumption?.stopPulling(), this.helper.stop()]);
  }

  /** Hands every task back with a checkpoint; resolves when all reports are out. */
  async release(): Promise<void> {
    // First, so that no thread is started for one that ends.
    const closed = this.threads.close();
    for (const execution of this.executions.values()) execution.stop(STOP.release);
    await this.consumption?.finished();
    await closed;
  }

  /**
   * A task that comes again while it is executed here joins that execution: the queue lost sight of this replica for a
   * while, but the work goes on, and doing it twice would waste what lies behind the last checkpoint.
   */
  private async execute(delivered: DeliveredTask, events: Events): Promise<void> {
    const { attemptId } = delivered.task;
    const known = this.ends.get(attemptId);
    if (known) {
      this.log.info('step.redelivered', { attemptId, deliveries: delivered.delivery });
      return known;
    }
    const end = this.executeOnce(delivered, events);
    this.ends.set(attemptId, end);
    await end.finally(() => this.ends.delete(attemptId));
  }

  private async executeOnce(delivered: DeliveredTask, events: Events): Promise<void> {
    const { attemptId, run, stepId } = delivered.task;
    const log = this.log.child({ runId: run, stepId, attemptId, phase: this.phase.name });
    const execution = new TaskExecution(delivered, {
      phase: this.phase,
      events,
      options: this.options,
      log,
      threads: this.threads,
      metrics: this.metrics,
      curves: this.curves,
    });
    this.executions.set(attemptId, execution);
    if (this.isDraining) execution.stop(STOP.release);
    const labels = { phase: this.phase.name };
    this.metrics.gauge('stepsInFlight').set(labels, this.executions.size);
    try {
      await this.helper.makeRoom();
      const outcome = await execution.run();
      const seconds = (Date.now() - execution.startTime.getTime()) / 1000;
      this.metrics.counter('stepAttempts').inc({ ...labels, outcome });
      this.metrics.histogram('stepDuration').observe({ ...labels, outcome }, seconds);
      log.info(outcome === 'released' ? 'step.handed_back' : 'step.finished', { outcome });
    } finally {
      this.executions.delete(attemptId);
      if (this.executions.size === 0) this.curves.clear();
      this.metrics.gauge('stepsInFlight').set(labels, this.executions.size);
    }
  }

  private execution(attemptId: string): TaskExecution {
    const execution = this.executions.get(attemptId);
    if (!execution) throw new TaskNotFoundError(attemptId);
    return execution;
  }
}
