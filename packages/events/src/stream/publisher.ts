import { setTimeout as sleep } from 'node:timers/promises';
import { isAppError } from '@agentforge/errors';
import { injectContext, type Metrics, withSpan } from '@agentforge/telemetry';
import type { PubAck } from '@nats-io/jetstream';
import { headers as createHeaders } from '@nats-io/transport-node';
import { EventLogUnavailableError, MessageTooLargeError, StreamFullError } from '../events.errors.js';
import type { StreamName } from '../subjects.js';
import type { Connection } from './connection.js';
import { isOutOfRoom, isTransient } from './server-reply.js';

/** What is published. */
export interface Publication {
  readonly stream: StreamName;
  readonly subject: string;
  readonly data: Uint8Array;
  /** De-duplication id: the server stores a message with the same id once within two minutes. */
  readonly id: string;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Stored only when this is the last sequence of the subject. */
  readonly expectedLastSequence?: number;
  /** Longest time to go on trying; Infinity for ever. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Time one try gets before it is repeated. */
const TRY_TIMEOUT_MS = 2_000;
/** Waits between tries: doubling from the first to the second. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;
/** Largest message: below the server's default limit of 1 MiB, with room for headers. */
export const MAX_MESSAGE_BYTES = 900 * 1024;

/** Publishes to streams and waits for the acknowledgement, over reconnections and restarts. */
export class Publisher {
  constructor(
    private readonly connection: Connection,
    private readonly metrics: Metrics | undefined,
  ) {}

  /**
   * Publishes until the server acknowledges; repeated tries are stored once.
   * @throws EventLogUnavailableError  UNAVAILABLE: not acknowledged in time; it may be stored
   * @throws StreamFullError  RESOURCE_EXHAUSTED
   * @throws MessageTooLargeError  RESOURCE_EXHAUSTED
   * @throws JetStreamApiError  the server refused the request itself, for example a wrong last sequence
   */
  async publish(message: Publication): Promise<PubAck> {
    const { stream, subject } = message;
    if (message.data.length > MAX_MESSAGE_BYTES)
      throw new MessageTooLargeError(`message for ${subject}`, message.data.length, MAX_MESSAGE_BYTES);
    try {
      const ack = await withSpan(
        'events.publish',
        { stream, subject },
        () => this.untilAcknowledged(message),
        {
          kind: 'producer',
        },
      );
      this.metrics?.counter('messagesPublished').inc({ stream, outcome: 'ok' });
      return ack;
    } catch (error) {
      this.metrics?.counter('messagesPublished').inc({ stream, outcome: 'error' });
      throw error;
    }
  }

  private async untilAcknowledged(message: Publication): Promise<PubAck> {
    const deadline = performance.now() + message.timeoutMs;
    const headers = createHeaders();
    const extra = injectContext({ ...message.headers });
    for (const [name, value] of Object.entries(extra)) headers.set(name, value);
    let waitMs = FIRST_WAIT_MS;
    let lastError: unknown;
    for (;;) {
      message.signal?.throwIfAborted();
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw unavailable(message.subject, lastError);
      if (await this.connection.whenConnected(Math.min(leftMs, TRY_TIMEOUT_MS), message.signal)) {
        try {
          return await this.tryOnce(message, headers, Math.max(1, Math.min(leftMs, TRY_TIMEOUT_MS)));
        } catch (error) {
          if (isAppError(error) || !isTransient(error)) throw error;
          lastError = error;
        }
        await sleep(Math.min(waitMs, Math.max(1, deadline - performance.now())));
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      }
    }
  }

  private tryOnce(message: Publication, headers: ReturnType<typeof createHeaders>, timeout: number) {
    return this.connection.jetstream.publish(message.subject, message.data, {
      msgID: message.id,
      headers,
      timeout,
      ...(message.expectedLastSequence === undefined
        ? {}
        : { expect: { lastSubjectSequence: message.expectedLastSequence } }),
    });
  }
}

function unavailable(what: string, cause: unknown) {
  return isOutOfRoom(cause) ? new StreamFullError(what, cause) : new EventLogUnavailableError(what, cause);
}
