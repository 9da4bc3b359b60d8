import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ArtifactRef,
  ArtifactRefSchema,
  type StepReport,
  StepReportSchema,
  type StepTask,
  TaskAction,
  type TaskDirective,
  TaskHeartbeatSchema,
} from '@agentforge/contracts';
import {
  AttemptOverError,
  type DeliveredTask,
  type Events,
  StaleFencingTokenError,
} from '@agentforge/events';
import type { Logger, Metrics } from '@agentforge/telemetry';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import type { SpreadWord } from '../subtasks/subtask-messages.js';
import { SubtaskOfferer } from '../subtasks/subtask-offerer.js';
import { STOP, type StopReason } from '../worker/control.js';
import type { WorkerMessage } from '../worker/messages.js';
import { toAppError } from '../worker/system-error.js';
import { ComputeJob, type JobEnd } from './compute-job.js';
import type { CurveMetrics } from './curve-metrics.js';
import { toFailure } from './failure.js';
import type { RuntimeOptions } from './runtime-options.js';
import { toStepResult } from './step-result.js';
import { checkTask } from './task-check.js';
import { TaskFeed } from './task-feed.js';
import type { ThreadPool } from './thread-pool.js';

/** How an execution ended: the outcome label of metrics. */
export type ExecutionEnd = 'succeeded' | 'failed' | 'cancelled' | 'released' | 'abandoned';

/** What a task execution needs. */
export interface ExecutionDependencies {
  readonly phase: PhaseDefinition;
  readonly events: Events;
  readonly options: RuntimeOptions;
  readonly log: Logger;
  readonly threads: ThreadPool;
  readonly metrics: Metrics;
  readonly curves: CurveMetrics;
}

/** Waits between two tries to put a checkpoint into the index: doubling from the first to the second. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

type Payload = NonNullable<MessageInitShape<typeof StepReportSchema>['payload']>;

/**
 * Executes one delivery of one task: asks whether the attempt is still wanted, finds the newest checkpoint,
 * computes in a worker thread, keeps the orchestrator informed, and reports how it ended. When `run` resolves the
 * outcome is on the durable stream and the task may be acknowledged; when it rejects the task is to be delivered again.
 */
export class TaskExecution {
  readonly startTime = new Date();
  readonly feed: TaskFeed;
  readonly task: StepTask;
  private job: ComputeJob | undefined;
  private readonly offerer: SubtaskOfferer;
  private wantedStop: StopReason | undefined;
  private checkpoint: ArtifactRef | undefined;
  private sequence = 0;
  /** Whether nobody will go on from a checkpoint of this attempt any more. */
  private isOver = false;
  /** Reports leave in the order of what they report. */
  private reports: Promise<void> = Promise.resolve();

  constructor(
    private readonly delivered: DeliveredTask,
    private readonly deps: ExecutionDependencies,
  ) {
    this.task = delivered.task;
    this.offerer = new SubtaskOfferer(deps, this.task, (order) => this.job?.tell(order));
    this.feed = new TaskFeed(this.task, (progress) => deps.events.progress.publish(progress));
  }

  /** Executes the task to its end. */
  async run(): Promise<ExecutionEnd> {
    const { events, log } = this.deps;
    const directives = events.directives.watch(this.task.attemptId, (directive) => this.obey(directive));
    try {
      await this.beat();
      if (this.wantedStop === STOP.abandon) return 'abandoned';
      await this.findCheckpoint();
      if (this.wantedStop) return await this.reportEnd({ kind: 'stopped', reason: this.wantedStop });
      log.info('step.started', { attempt: this.task.attemptNumber, deliveries: this.delivered.delivery });
      return await this.reportEnd(await this.compute().catch(failed));
    } finally {
      directives.stop();
      this.offerer.close();
      this.feed.close();
    }
  }

  /** Stops the execution: as soon as the work allows, at the latest when the grace is over. */
  stop(reason: StopReason): void {
    const order: (StopReason | undefined)[] = [undefined, STOP.release, STOP.cancel, STOP.abandon];
    if (order.indexOf(reason) > order.indexOf(this.wantedStop)) this.wantedStop = reason;
    this.offerer.close();
    this.job?.stop(reason);
  }

  private async compute(): Promise<JobEnd> {
    const { phase, options } = this.deps;
    const config = checkTask(phase, this.task);
    await this.report(
      { case: 'started', value: { delivery: this.delivered.delivery } },
      this.delivered.delivery,
    );
    if (this.wantedStop) return { kind: 'stopped', reason: this.wantedStop };
    const job = new ComputeJob(
      this.deps.threads,
      {
        phase: phase.name,
        version: phase.version,
        config,
        seed: this.task.seed,
        fallback: this.task.fallback,
        inputs: this.task.inputs.map(({ port, artifacts }) => ({ port, artifacts })),
        checkpoint: this.checkpoint,
        checkpointSequence: this.sequence,
        checkpointIntervalMs: checkpointIntervalMs(config) ?? options.checkpointIntervalMs,
        artifactDirectory: options.artifactDirectory,
        device: options.device,
        threads: options.threads,
      },
      options.grace,
      (message) => this.receive(message),
    );
    this.job = job;
    const heart = setInterval(() => void this.beat(), options.heartbeatMs);
    try {
      const end = await job.ended;
      this.isOver = end.kind !== 'stopped' || end.reason !== STOP.release;
      return end;
    } finally {
      clearInterval(heart);
      await this.reports;
    }
  }

  private receive(message: WorkerMessage): void {
    const { log } = this.deps;
    if (isSpreadWord(message)) this.offerer.receive(message);
    else if (message.kind === 'progress') {
      this.feed.progress(message);
      this.deps.curves.note(message.points);
    } else if (message.kind === 'log') {
      this.feed.log(message);
      if (message.level !== 'info') log.warn('phase.progress', { message: message.text });
    } else if (message.kind === 'resumed') {
      log.info('phase.resumed', { checkpointDigest: message.checkpoint.digest });
    } else if (message.kind === 'checkpointed') {
      // What crosses threads is a plain copy: a message again.
      const checkpoint = create(ArtifactRefSchema, message.checkpoint);
      this.checkpoint = checkpoint;
      this.sequence = message.sequence;
      this.reports = this.reports.then(() => this.announceCheckpoint(checkpoint, message.sequence));
    }
  }

  /** Index first, then report: whoever reads the report and goes on finds at least this checkpoint in the index. */
  private async announceCheckpoint(checkpoint: ArtifactRef, sequence: number): Promise<void> {
    const { log } = this.deps;
    log.info('phase.checkpoint', { checkpointDigest: checkpoint.digest, sequence });
    try {
      await this.indexCheckpoint(checkpoint, sequence);
    } catch {
      return this.stop(STOP.abandon);
    }
    await this.report({ case: 'checkpointed', value: { checkpoint, sequence } }, sequence).catch(
      (error: unknown) => log.warn('events.handler_failed', { error, operation: 'report checkpoint' }),
    );
  }

  /**
   * Tries until the index has it, or the attempt needs no checkpoint any more.
   * @throws StaleFencingTokenError, AttemptOverError  this execution is not wanted any more
   */
  private async indexCheckpoint(checkpoint: ArtifactRef, sequence: number): Promise<void> {
    const { events, log } = this.deps;
    const { attemptId, fencingToken } = this.task;
    const { delivery } = this.delivered;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
      try {
        return await events.checkpoints.put(attemptId, { checkpoint, fencingToken, sequence, delivery });
      } catch (error) {
        if (isUnwanted(error)) throw error;
        log.warn('events.handler_failed', { error, operation: 'index checkpoint' });
        if (this.isOver) return;
        await sleep(waitMs);
      }
    }
  }

  private async findCheckpoint(): Promise<void> {
    const { attemptId, checkpoint } = this.task;
    try {
      const indexed = await this.deps.events.checkpoints.get(attemptId);
      this.checkpoint = indexed?.checkpoint ?? checkpoint;
      this.sequence = indexed?.sequence ?? 0;
    } catch (error) {
      if (!isUnwanted(error)) throw error;
      this.stop(STOP.abandon);
    }
  }

  private async beat(): Promise<void> {
    const directive = await this.deps.events.directives
      .heartbeat(create(TaskHeartbeatSchema, this.identity()))
      .catch(() => undefined);
    if (directive) this.obey(directive);
  }

  private obey({ action }: TaskDirective): void {
    if (action === TaskAction.CANCEL) this.stop(STOP.cancel);
    else if (action === TaskAction.ABANDON) this.stop(STOP.abandon);
    else if (action === TaskAction.RELEASE) this.stop(STOP.release);
  }

  private async reportEnd(end: JobEnd): Promise<ExecutionEnd> {
    const n = this.delivered.delivery;
    if (end.kind === 'succeeded') {
      await this.report({ case: 'succeeded', value: { result: toStepResult(end.result) } }, n);
      return 'succeeded';
    }
    if (end.kind === 'failed') {
      this.deps.log.warn('step.failed', { error: end.error, code: end.error.code });
      await this.report({ case: 'failed', value: { failure: toFailure(end.error) } }, n);
      return 'failed';
    }
    if (end.reason === STOP.abandon) return 'abandoned';
    if (end.reason === STOP.cancel) {
      await this.report({ case: 'cancelled', value: {} }, n);
      return 'cancelled';
    }
    const { checkpoint } = this;
    await this.report({ case: 'released', value: checkpoint ? { checkpoint } : {} }, n);
    return 'released';
  }

  private report(payload: Payload, n: number): Promise<void> {
    const { events, phase } = this.deps;
    const report: StepReport = create(StepReportSchema, {
      ...this.identity(),
      time: timestampNow(),
      payload,
    });
    return events.reports.publish(phase.name, report, n);
  }

  private identity() {
    const { run, stepId, attemptId, fencingToken } = this.task;
    return { run, stepId, attemptId, fencingToken, worker: this.deps.options.workerId };
  }
}

function isSpreadWord(message: WorkerMessage): message is SpreadWord {
  return SPREAD_WORDS.has(message.kind);
}

const SPREAD_WORDS: ReadonlySet<string> = new Set<SpreadWord['kind']>([
  'spread',
  'computed',
  'refused',
  'withdrawn',
]);

function failed(error: unknown): JobEnd {
  return { kind: 'failed', error: toAppError(error) };
}

/** A newer execution goes on, or the attempt has ended: the orchestrator need not be there to say so. */
function isUnwanted(error: unknown): boolean {
  return error instanceof StaleFencingTokenError || error instanceof AttemptOverError;
}

function checkpointIntervalMs(config: unknown): number | undefined {
  const seconds = (config as { checkpoint_interval_s?: unknown }).checkpoint_interval_s;
  return typeof seconds === 'number' ? seconds * 1000 : undefined;
}
