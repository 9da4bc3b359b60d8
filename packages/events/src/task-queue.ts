import type { StepTask } from '@agentforge/contracts';
import { stepTaskCodec } from './codec.js';
import type { Publisher } from './stream/publisher.js';
import type { WorkContext } from './stream/received-message.js';
import { ensureTasksConsumer, type Topology } from './stream/topology.js';
import { type Consumption, type Delivery, WorkConsumer } from './stream/work-consumer.js';
import { checkAttemptId, STREAMS, taskSubject, tasksConsumer } from './subjects.js';

/** A task in the hands of a worker. */
export interface DeliveredTask extends Omit<Delivery<StepTask>, 'value'> {
  readonly task: StepTask;
}

/** How tasks are taken. */
export interface TaskConsumeOptions {
  /** Most tasks held at once; nothing is fetched ahead. Default 1. */
  readonly concurrency?: number;
  /** Silence after which a task is delivered to another worker, ms. Default: the topology's. */
  readonly ackWaitMs?: number;
  /** Whether in-progress acks are sent while a handler runs. Default true. */
  readonly keepAlive?: boolean;
  /** How often it is checked that waiting tasks do arrive, ms. Default 10,000. */
  readonly watchdogMs?: number;
}

/** Time a publication may take over reconnections. */
const PUBLISH_TIMEOUT_MS = 10_000;

/** Tasks of all phases, one queue per phase; each task is one attempt of a step. */
export class TaskQueue {
  constructor(
    private readonly context: WorkContext,
    private readonly publisher: Publisher,
    private readonly topology: Topology,
  ) {}

  /**
   * Queues an attempt; the same attempt published again within two minutes is queued once.
   * @throws EventLogUnavailableError  UNAVAILABLE: not confirmed in time; publish it again
   */
  async publish(task: StepTask): Promise<void> {
    await this.publisher.publish({
      stream: STREAMS.tasks,
      subject: taskSubject(task.phase),
      data: stepTaskCodec.encode(task),
      id: checkAttemptId(task.attemptId),
      timeoutMs: PUBLISH_TIMEOUT_MS,
    });
  }

  /** Takes tasks of a phase until stopped. A handler that ends without a word has done its task. */
  async consume(
    phase: string,
    handler: (delivered: DeliveredTask) => Promise<void>,
    options: TaskConsumeOptions = {},
  ): Promise<Consumption> {
    const { concurrency = 1, ackWaitMs = this.topology.ackWaitMs, keepAlive = true, watchdogMs } = options;
    return WorkConsumer.start<StepTask>(this.context, {
      stream: STREAMS.tasks,
      consumer: tasksConsumer(phase),
      origin: 'tasks',
      ensure: () => ensureTasksConsumer(this.context.connection, phase, ackWaitMs),
      decode: (data) => stepTaskCodec.decode(data),
      handle: ({ value, ...words }) => handler({ task: value, ...words }),
      concurrency,
      ackWaitMs,
      keepAlive,
      confirmsAcks: true,
      ...(watchdogMs === undefined ? {} : { watchdogMs }),
    });
  }
}
