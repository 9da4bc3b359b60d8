import type { ConsumerInfo } from '@nats-io/jetstream';
import { readServerTime } from './server-clock.js';
import type { Connection } from './stream/connection.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { STREAMS, tasksConsumer } from './subjects.js';

/** How much waits in one queue. */
export interface QueueReading {
  readonly stream: string;
  /** Phase of a task queue; empty for the reports. */
  readonly phase: string;
  /** Messages that no worker has taken. */
  readonly waiting: number;
  /** Messages that a worker has taken and not settled. */
  readonly inFlight: number;
  /** Age of the oldest message that waits, ms; 0 when none does. */
  readonly oldestAgeMs: number;
}

/** What is known of the workers of one phase from their queue alone. */
export interface TaskQueueReading extends Pick<QueueReading, 'waiting' | 'inFlight'> {
  /** Requests of workers that wait for a task. */
  readonly pulls: number;
}

const PHASE_CONSUMER = /^phase-(.+)$/;

/** Reads all task queues and the report queue. Ages are by the clock of the server, which stamped the messages. */
export async function readQueues(connection: Connection): Promise<QueueReading[]> {
  const readings: QueueReading[] = [];
  const { serverMs } = await readServerTime(connection);
  for (const stream of [STREAMS.tasks, STREAMS.reports]) {
    for await (const consumer of connection.manager.consumers.list(stream))
      readings.push(await readQueue(connection, stream, consumer, serverMs));
  }
  return readings;
}

/** The task queue of a phase; undefined when no worker of it was ever there. */
export async function readTaskQueue(
  connection: Connection,
  phase: string,
): Promise<TaskQueueReading | undefined> {
  try {
    const info = await connection.manager.consumers.info(STREAMS.tasks, tasksConsumer(phase));
    return { waiting: info.num_pending, inFlight: info.num_ack_pending, pulls: info.num_waiting };
  } catch (error) {
    const code = apiCodeOf(error);
    if (code === API_CODES.consumerNotFound) return undefined;
    throw error;
  }
}

async function readQueue(
  connection: Connection,
  stream: string,
  consumer: ConsumerInfo,
  nowMs: number,
): Promise<QueueReading> {
  const storedMs = consumer.num_pending > 0 ? await oldestWaiting(connection, stream, consumer) : undefined;
  return {
    stream,
    phase: PHASE_CONSUMER.exec(consumer.name)?.[1] ?? '',
    waiting: consumer.num_pending,
    inFlight: consumer.num_ack_pending,
    oldestAgeMs: storedMs === undefined ? 0 : Math.max(0, nowMs - storedMs),
  };
}

/** When the first message that the consumer has not delivered was stored. */
async function oldestWaiting(
  connection: Connection,
  stream: string,
  consumer: ConsumerInfo,
): Promise<number | undefined> {
  const query = {
    seq: consumer.delivered.stream_seq + 1,
    next_by_subj: consumer.config.filter_subject ?? '>',
  };
  try {
    const message = await connection.manager.streams.getMessage(stream, query);
    return message?.time.getTime();
  } catch (error) {
    // taken by a worker since the consumer was read
    if (apiCodeOf(error) === API_CODES.messageNotFound) return undefined;
    throw error;
  }
}
