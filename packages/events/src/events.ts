import type { Metrics } from '@agentforge/telemetry';
import { Kvm } from '@nats-io/kv';
import { AnswerCache } from './answer-cache.js';
import { BreakerStore } from './breakers.js';
import { CapacityBoard } from './capacity.js';
import { CheckpointIndex } from './checkpoint-index.js';
import { ConfigChecks } from './config-checks.js';
import { DeadLetters } from './dead-letters.js';
import { Directives } from './directives.js';
import { LeaseLedger } from './leases.js';
import { PhaseRegistry } from './phase-registry.js';
import { ProgressChannel } from './progress-channel.js';
import { type QueueReading, readQueues, readTaskQueue, type TaskQueueReading } from './queue-readings.js';
import { QuotaBook } from './quotas.js';
import { Replicas } from './replicas.js';
import { Reports } from './reports.js';
import { RequestIndex } from './request-index.js';
import { RunLog } from './run-log.js';
import { ScheduleStore } from './schedule-store.js';
import { readServerTime, type ServerTime } from './server-clock.js';
import { type SnapshotName, SnapshotStore } from './snapshots.js';
import { StepCache } from './step-cache.js';
import { Connection, type ConnectionOptions } from './stream/connection.js';
import { Publisher } from './stream/publisher.js';
import { ensureTopology, type Topology, type TopologyOptions, topologyOf } from './stream/topology.js';
import { BUCKETS } from './subjects.js';
import { Subtasks } from './subtasks.js';
import { TaskQueue } from './task-queue.js';
import { UploadIndex } from './upload-index.js';

/** How the engine's streams are reached. */
export interface EventsOptions extends ConnectionOptions {
  readonly metrics?: Metrics | undefined;
  readonly topology?: TopologyOptions;
}

/** Age up to which one reading of the queues serves several gauges, ms. */
const READING_AGE_MS = 1_000;

/** Every bucket, opened. */
type Buckets = Readonly<Record<keyof typeof BUCKETS, Awaited<ReturnType<Kvm['open']>>>>;

/** Everything that travels on NATS: one connection, one object per purpose. */
export class Events {
  readonly runs: RunLog;
  readonly tasks: TaskQueue;
  readonly reports: Reports;
  readonly directives: Directives;
  readonly progress: ProgressChannel;
  readonly deadLetters: DeadLetters;
  readonly phases: PhaseRegistry;
  readonly breakers: BreakerStore;
  readonly capacity: CapacityBoard;
  readonly checkpoints: CheckpointIndex;
  readonly configChecks: ConfigChecks;
  readonly leases: LeaseLedger;
  readonly quotas: QuotaBook;
  readonly requests: RequestIndex;
  readonly uploads: UploadIndex;
  readonly replicas: Replicas;
  readonly stepCache: StepCache;
  readonly schedules: ScheduleStore;
  readonly subtasks: Subtasks;
  readonly answers: AnswerCache;

  private constructor(
    private readonly connection: Connection,
    private readonly buckets: Buckets,
    topology: Topology,
    private readonly options: EventsOptions,
  ) {
    const { logger, metrics } = options;
    const publisher = new Publisher(connection, metrics);
    this.deadLetters = new DeadLetters(connection, publisher, logger, metrics);
    const context = { connection, deadLetters: this.deadLetters, logger, metrics };
    this.runs = new RunLog(connection, publisher, this.deadLetters, buckets.snapshots, logger, metrics);
    this.checkpoints = new CheckpointIndex(buckets.checkpoints);
    this.reports = new Reports(context, publisher, topology);
    this.tasks = new TaskQueue(context, publisher, topology, this.reports, this.checkpoints);
    this.directives = new Directives(connection, logger);
    this.progress = new ProgressChannel(connection, logger);
    this.configChecks = new ConfigChecks(connection, logger);
    this.phases = new PhaseRegistry(connection, buckets.phases, logger);
    this.replicas = new Replicas(connection, logger);
    this.breakers = new BreakerStore(connection, buckets.breakers, logger);
    this.capacity = new CapacityBoard(connection, buckets.capacity, logger);
    this.leases = new LeaseLedger(connection, buckets.leases, logger);
    this.quotas = new QuotaBook(connection, buckets.quotas, logger);
    this.requests = new RequestIndex(buckets.requests);
    this.schedules = new ScheduleStore(connection, buckets.schedules, logger);
    this.uploads = new UploadIndex(connection, buckets.uploads, logger);
    this.stepCache = new StepCache(buckets.stepCache, logger);
    this.subtasks = new Subtasks(connection, logger);
    this.answers = new AnswerCache(buckets.answers, logger);
  }

  /** Connects and creates what is missing; waits while NATS is not there. */
  static async connect(options: EventsOptions): Promise<Events> {
    const connection = await Connection.open(options);
    try {
      const topology = topologyOf(options.topology);
      await ensureTopology(connection, topology, options.logger, options.signal);
      const kvm = new Kvm(connection.jetstream);
      const opened = Object.entries(BUCKETS).map(async ([key, name]) => [key, await kvm.open(name)] as const);
      const buckets: Partial<Buckets> = Object.fromEntries(await Promise.all(opened));
      return new Events(connection, buckets as Buckets, topology, options);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Snapshots of one kind. @param content  version of what their entries say */
  snapshots(name: SnapshotName, content: number): SnapshotStore {
    const { connection, buckets, runs, options } = this;
    return new SnapshotStore(connection, buckets.snapshots, runs, options.logger, name, content);
  }

  /** Whether NATS is there right now. */
  isConnected(): boolean {
    return this.connection.isConnected();
  }

  /** Reads the clock of the server, which all processes share. */
  serverTime(): Promise<ServerTime> {
    return readServerTime(this.connection);
  }

  /** How much waits in each queue. */
  queueReadings(): Promise<QueueReading[]> {
    return readQueues(this.connection);
  }

  /** How much waits for the workers of one phase; undefined when none of them was ever there. */
  taskQueueReading(phase: string): Promise<TaskQueueReading | undefined> {
    return readTaskQueue(this.connection, phase);
  }

  /**
   * Lets a scrape read the queues, once for all gauges; while NATS is away they have no values. Every replica that does
   * so exports the same series: aggregate them by max.
   */
  registerMetrics(metrics: Metrics): void {
    let reading: { readonly atMs: number; readonly queues: Promise<QueueReading[]> } | undefined;
    const read = async () => {
      if (!this.isConnected()) return [];
      const nowMs = performance.now();
      if (reading === undefined || nowMs - reading.atMs > READING_AGE_MS)
        reading = { atMs: nowMs, queues: this.queueReadings().catch(() => []) };
      return reading.queues;
    };
    const labels = ({ stream, phase }: QueueReading) => ({ stream, phase });
    metrics
      .gauge('queueLag')
      .collect(async () => (await read()).map((one) => ({ labels: labels(one), value: one.waiting })));
    metrics
      .gauge('queueOldestAge')
      .collect(async () =>
        (await read()).map((one) => ({ labels: labels(one), value: one.oldestAgeMs / 1000 })),
      );
  }

  /** Sends what is buffered and closes. Stop consumptions first. Idempotent. */
  async close(): Promise<void> {
    await this.progress.flush();
    await this.connection.close();
  }
}

/** Connects to NATS and creates what is missing; waits, with a log line, while NATS is not there. */
export function connectEvents(options: EventsOptions): Promise<Events> {
  return Events.connect(options);
}
