import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@agentforge/telemetry';
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { nanos } from '@nats-io/transport-node';
import {
  ALL_PROGRESS,
  BUCKETS,
  REPORTS_CONSUMER,
  STREAMS,
  taskSubjects,
  tasksConsumer,
} from '../subjects.js';
import type { Connection } from './connection.js';
import { API_CODES, apiCodeOf, isLostRace, isTransient } from './server-reply.js';

/** Sizes and guarantees of streams, buckets and consumers. */
export interface TopologyOptions {
  /** Copies of everything, 1, 3 or 5; more than 1 needs a cluster. Default 1. */
  readonly replicas?: number;
  /** Silence after which an unacknowledged task or report is delivered again, ms. Default 5,000. */
  readonly ackWaitMs?: number;
  /** Most bytes of the run log; -1 no limit. Default -1. */
  readonly maxRunBytes?: number;
  /** Most bytes of waiting tasks; new ones are refused beyond. Default 1 GiB. */
  readonly maxTaskBytes?: number;
  /** Most bytes of waiting reports; new ones are refused beyond. Default 1 GiB. */
  readonly maxReportBytes?: number;
  /** Most bytes of progress kept; the oldest goes first. Default 256 MiB. */
  readonly maxProgressBytes?: number;
  /** Age at which progress goes, ms. Default 24 h. */
  readonly maxProgressAgeMs?: number;
  /** Most bytes of dead letters; the oldest goes first. Default 256 MiB. */
  readonly maxDeadLetterBytes?: number;
  /** Age at which a checkpoint's index entry goes, ms. Default 7 days; the run log keeps the checkpoint. */
  readonly checkpointAgeMs?: number;
  /** Silence after which what a worker advertised goes, ms. Default 15,000. */
  readonly advertAgeMs?: number;
  /** Window in which a repeated message id is stored once, ms. Default 120,000. */
  readonly deduplicationMs?: number;
  /** Age at which a result of the step cache goes, ms. Default 30 days; its artifacts stay. */
  readonly stepCacheAgeMs?: number;
  /** Age at which the answer of a subtask goes, ms. Default 7 days; it can be computed again. */
  readonly answerAgeMs?: number;
  /** Most bytes of such answers; none is kept beyond. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** Age at which a request id is free again, ms. Default 7 days; the run that it created stays. */
  readonly requestAgeMs?: number;
}

/** Every option with its value. */
export type Topology = Required<TopologyOptions>;

const MIB = 2 ** 20;
const DAY_MS = 86_400_000;
const RETRY_MS = 500;
const LOG_EVERY_MS = 10_000;
/** Tries to create what another process seems to be creating; then the overlap is one with a foreign stream. */
const MAX_LOST_RACES = 5;

/** Fills in defaults. */
export function topologyOf(options: TopologyOptions = {}): Topology {
  return {
    replicas: 1,
    ackWaitMs: 5_000,
    maxRunBytes: -1,
    maxTaskBytes: 1024 * MIB,
    maxReportBytes: 1024 * MIB,
    maxProgressBytes: 256 * MIB,
    maxProgressAgeMs: DAY_MS,
    maxDeadLetterBytes: 256 * MIB,
    checkpointAgeMs: 7 * DAY_MS,
    advertAgeMs: 15_000,
    deduplicationMs: 120_000,
    stepCacheAgeMs: 30 * DAY_MS,
    answerAgeMs: 7 * DAY_MS,
    maxAnswerBytes: 64 * MIB,
    requestAgeMs: 7 * DAY_MS,
    ...options,
  };
}

/**
 * Creates what is missing and adapts what exists, and waits while JetStream is not ready. Idempotent;
 * several processes may do it at the same time.
 * @throws JetStreamApiError  what exists cannot be changed into what is wanted
 */
export async function ensureTopology(
  connection: Connection,
  topology: Topology,
  logger?: Logger,
  signal?: AbortSignal,
): Promise<void> {
  const steps: [string, () => Promise<void>][] = [
    ...streamsOf(topology).map((config): [string, () => Promise<void>] => [
      config.name,
      () => ensureStream(connection, config),
    ]),
    ...Object.values(BUCKETS).map((bucket): [string, () => Promise<void>] => [
      bucket,
      () => ensureBucket(connection, bucket, topology),
    ]),
    [REPORTS_CONSUMER, () => ensureReportsConsumer(connection, topology.ackWaitMs, false)],
  ];
  for (const [name, ensure] of steps) {
    await untilReady(name, ensure, logger, signal);
    logger?.debug('events.stream_ready', { stream: name });
  }
}

/**
 * Creates the durable consumer of a phase's tasks.
 * @param adapts  whether one that exists takes over the settings: those of the workers count, not those of an onlooker
 */
export function ensureTasksConsumer(
  connection: Connection,
  phase: string,
  ackWaitMs: number,
  adapts = true,
): Promise<void> {
  const config = {
    ...workConsumer(ackWaitMs),
    durable_name: tasksConsumer(phase),
    name: tasksConsumer(phase),
    filter_subject: taskSubjects(phase),
  };
  return ensureConsumer(connection, STREAMS.tasks, config, adapts);
}

/**
 * Creates the durable consumer of all reports.
 * @param adapts  whether one that exists takes over the settings: those of the orchestrators count
 */
export function ensureReportsConsumer(
  connection: Connection,
  ackWaitMs: number,
  adapts = true,
): Promise<void> {
  const config = {
    ...workConsumer(ackWaitMs),
    durable_name: REPORTS_CONSUMER,
    name: REPORTS_CONSUMER,
    filter_subject: 'forge.reports.*',
  };
  return ensureConsumer(connection, STREAMS.reports, config, adapts);
}

function streamsOf(topology: Topology): (Partial<StreamConfig> & { name: string; subjects: string[] })[] {
  const file = { storage: StorageType.File, num_replicas: topology.replicas };
  const queue = {
    ...file,
    retention: RetentionPolicy.Workqueue,
    discard: DiscardPolicy.New,
    duplicate_window: nanos(topology.deduplicationMs),
  };
  const log = {
    ...file,
    retention: RetentionPolicy.Limits,
    duplicate_window: nanos(topology.deduplicationMs),
  };
  return [
    {
      ...log,
      name: STREAMS.runs,
      subjects: ['forge.runs.*.*'],
      discard: DiscardPolicy.New,
      max_bytes: topology.maxRunBytes,
      allow_direct: true,
    },
    { ...queue, name: STREAMS.tasks, subjects: ['forge.tasks.*.>'], max_bytes: topology.maxTaskBytes },
    { ...queue, name: STREAMS.reports, subjects: ['forge.reports.*'], max_bytes: topology.maxReportBytes },
    {
      ...log,
      name: STREAMS.progress,
      subjects: [ALL_PROGRESS],
      discard: DiscardPolicy.Old,
      max_bytes: topology.maxProgressBytes,
      max_age: nanos(topology.maxProgressAgeMs),
      duplicate_window: nanos(Math.min(topology.deduplicationMs, topology.maxProgressAgeMs)),
    },
    {
      ...log,
      name: STREAMS.deadLetters,
      subjects: ['forge.dead.*'],
      discard: DiscardPolicy.Old,
      max_bytes: topology.maxDeadLetterBytes,
    },
    {
      ...log,
      name: STREAMS.audit,
      subjects: ['forge.audit.>'],
      discard: DiscardPolicy.New,
      deny_delete: true,
      deny_purge: true,
    },
  ];
}

function workConsumer(ackWaitMs: number): Partial<ConsumerConfig> {
  return {
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ackWaitMs),
    max_deliver: -1,
    max_ack_pending: 100_000,
    max_waiting: 8_192,
  };
}

async function ensureStream(
  connection: Connection,
  config: Partial<StreamConfig> & { name: string },
): Promise<void> {
  try {
    await connection.manager.streams.update(config.name, config);
  } catch (error) {
    if (apiCodeOf(error) !== API_CODES.streamNotFound) throw error;
    await connection.manager.streams.add({ ...config, subjects: config.subjects ?? [] });
  }
}

/** Age at which entries of a bucket go, ms; 0 for never. */
function entryAgeMs(bucket: string, topology: Topology): number {
  if (bucket === BUCKETS.checkpoints) return topology.checkpointAgeMs;
  if (bucket === BUCKETS.answers) return topology.answerAgeMs;
  if (bucket === BUCKETS.capacity) return topology.advertAgeMs;
  if (bucket === BUCKETS.requests) return topology.requestAgeMs;
  return bucket === BUCKETS.stepCache ? topology.stepCacheAgeMs : 0;
}

async function ensureBucket(connection: Connection, bucket: string, topology: Topology): Promise<void> {
  await new Kvm(connection.jetstream).create(bucket, {
    history: 1,
    replicas: topology.replicas,
    storage: StorageType.File,
    ttl: entryAgeMs(bucket, topology),
    ...(bucket === BUCKETS.answers ? { max_bytes: topology.maxAnswerBytes } : {}),
  });
}

async function ensureConsumer(
  connection: Connection,
  stream: string,
  config: Partial<ConsumerConfig> & { durable_name: string },
  adapts: boolean,
): Promise<void> {
  if (!adapts && (await hasConsumer(connection, stream, config.durable_name))) return;
  try {
    await connection.manager.consumers.add(stream, config);
  } catch (error) {
    if (apiCodeOf(error) !== API_CODES.consumerExists) throw error;
    const { ack_wait, max_deliver, max_ack_pending, filter_subject } = config;
    await connection.manager.consumers.update(stream, config.durable_name, {
      ...(ack_wait === undefined ? {} : { ack_wait }),
      ...(max_deliver === undefined ? {} : { max_deliver }),
      ...(max_ack_pending === undefined ? {} : { max_ack_pending }),
      ...(filter_subject === undefined ? {} : { filter_subject }),
    });
  }
}

async function hasConsumer(connection: Connection, stream: string, name: string): Promise<boolean> {
  try {
    await connection.manager.consumers.info(stream, name);
    return true;
  } catch (error) {
    if (apiCodeOf(error) !== API_CODES.consumerNotFound) throw error;
    return false;
  }
}

async function untilReady(
  name: string,
  ensure: () => Promise<void>,
  logger: Logger | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  let loggedAt = Number.NEGATIVE_INFINITY;
  let lostRaces = 0;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await ensure();
    } catch (error) {
      if (isLostRace(error) && lostRaces < MAX_LOST_RACES) lostRaces++;
      else if (!isTransient(error)) throw error;
      if (performance.now() - loggedAt >= LOG_EVERY_MS) {
        loggedAt = performance.now();
        logger?.warn('events.waiting', { stream: name, error });
      }
    }
    await sleep(RETRY_MS, undefined, signal ? { signal } : {});
  }
}
