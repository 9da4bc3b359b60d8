import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import type { Connection } from './stream/connection.js';
import { STREAMS } from './subjects.js';

/** The clock of the NATS server, as it was read. */
export interface ServerTime {
  /** Wall clock of the server at `atMs`, ms since 1970. */
  readonly serverMs: number;
  /** Monotonic clock of this process at that time, ms. */
  readonly atMs: number;
  /** The reading is right up to this many ms. */
  readonly uncertaintyMs: number;
}

/** How long the server keeps the consumer of a reading whose deletion it never heard of, ns. */
const CONSUMER_AGE_NS = 10_000_000_000;

/**
 * Reads the clock of the server: the one clock that all processes share. JetStream stamps a consumer when it creates
 * it, so a reading is a consumer that is created and deleted.
 */
export async function readServerTime(
  connection: Connection,
  monotonicMs: () => number = () => performance.now(),
): Promise<ServerTime> {
  const beforeMs = monotonicMs();
  const { name, created } = await connection.manager.consumers.add(STREAMS.audit, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.New,
    filter_subject: 'forge.audit.clock',
    inactive_threshold: CONSUMER_AGE_NS,
    mem_storage: true,
  });
  const afterMs = monotonicMs();
  connection.manager.consumers.delete(STREAMS.audit, name).catch(() => undefined);
  return {
    serverMs: Date.parse(created),
    atMs: (beforeMs + afterMs) / 2,
    uncertaintyMs: (afterMs - beforeMs) / 2,
  };
}
