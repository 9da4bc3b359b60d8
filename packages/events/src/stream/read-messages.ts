import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@agentforge/telemetry';
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { StreamName } from '../subjects.js';
import type { Connection } from './connection.js';
import { PullSubscription } from './pull-subscription.js';
import { API_CODES, apiCodeOf, isTransient } from './server-reply.js';
import type { StreamMessage } from './stream-message.js';

/** What is read. */
export interface ReadOptions {
  readonly stream: StreamName | `KV_${string}`;
  /** Subject filter. */
  readonly filter: string;
  /** First sequence, 1 for the beginning. */
  readonly startSequence: number;
  /** Leaves the payloads out. */
  readonly headersOnly?: boolean;
}

/** What is read, and on and on. */
export interface TailOptions extends ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Messages fetched ahead of the reader. Default 128. */
  readonly bufferSize?: number;
  /** Called once, when the reader has taken everything that was there. */
  readonly onCaughtUp?: (() => void) | undefined;
  readonly logger?: Logger | undefined;
}

const DEFAULT_BUFFER = 128;
/** The server removes a reader that asks for nothing for this long; it is made again where it stopped. */
const INACTIVE_MS = 60_000;
/** The server says this often that it has nothing to deliver, to a reader that wants to know. */
const IDLE_MS = 250;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2_000;

/**
 * Messages of a stream in order, without end and without a gap: a lost connection, a restarted
 * server or a missed message makes it go on after the last message that the reader took. A slow
 * reader slows the fetching; memory stays flat.
 */
export async function* tailMessages(
  connection: Connection,
  options: TailOptions,
): AsyncGenerator<StreamMessage, void, undefined> {
  let next = options.startSequence;
  let retryMs = FIRST_RETRY_MS;
  let announce = options.onCaughtUp;
  const caughtUp = () => {
    announce?.();
    announce = undefined;
  };
  while (!options.signal?.aborted && !connection.isClosed()) {
    const onCaughtUp = announce && caughtUp;
    const reader = await openReader(connection, { ...options, onCaughtUp }, next, retryMs);
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
    if (!reader) continue;
    try {
      if (reader.isComplete) caughtUp();
      for (let message = await reader.next(); message; message = await reader.next()) {
        retryMs = FIRST_RETRY_MS;
        next = message.sequence + 1;
        yield message;
        if (message.pending === 0 || reader.isComplete) caughtUp();
      }
    } finally {
      reader.close();
    }
  }
}

/**
 * Messages of a stream in order, up to those that were there at the start.
 * @param untilSequence  sequence of the last one wanted; absent: until nothing is pending
 */
export async function* readMessages(
  connection: Connection,
  options: ReadOptions & {
    readonly untilSequence?: number;
    readonly bufferSize?: number;
    readonly signal?: AbortSignal | undefined;
  },
): AsyncGenerator<StreamMessage, void, undefined> {
  const { untilSequence, signal, ...rest } = options;
  const end = new AbortController();
  const ends = signal ? AbortSignal.any([end.signal, signal]) : end.signal;
  const onCaughtUp = untilSequence === undefined ? () => end.abort() : undefined;
  for await (const message of tailMessages(connection, { ...rest, signal: ends, onCaughtUp })) {
    yield message;
    if (untilSequence !== undefined && message.sequence >= untilSequence) return;
  }
  signal?.throwIfAborted();
}

/** Opens a reader, or waits a while and returns nothing when that is not possible now. */
async function openReader(
  connection: Connection,
  options: TailOptions,
  startSequence: number,
  retryMs: number,
): Promise<OrderedReader | undefined> {
  try {
    if (!(await connection.whenConnected(LONGEST_RETRY_MS, options.signal))) return undefined;
    return await OrderedReader.open(connection, options, startSequence);
  } catch (error) {
    if (connection.isClosed() || options.signal?.aborted) return undefined;
    if (!isTransient(error) && apiCodeOf(error) !== API_CODES.streamNotFound) throw error;
    options.logger?.warn('events.waiting', { stream: options.stream, error });
    await sleep(retryMs);
    return undefined;
  }
}

/** One ephemeral consumer and what it delivered; ends at the first irregularity. */
class OrderedReader {
  private readonly buffer: StreamMessage[] = [];
  private readonly size: number;
  private readonly pulls: PullSubscription;
  private readonly cleanups: (() => void)[] = [];
  private wake: (() => void) | undefined;
  private lastDelivery = 0;
  private taken = 0;
  private hasEnded = false;
  private readonly onCaughtUp: (() => void) | undefined;
  private hasBeenIdle: boolean;

  private constructor(
    private readonly connection: Connection,
    private readonly stream: string,
    private readonly consumer: string,
    /** Messages that were there when it began. */
    private readonly expected: number,
    options: TailOptions,
  ) {
    this.size = options.bufferSize ?? DEFAULT_BUFFER;
    this.onCaughtUp = options.onCaughtUp;
    this.hasBeenIdle = expected === 0 || !options.onCaughtUp;
    this.pulls = new PullSubscription(connection, {
      stream,
      consumer,
      demand: () => this.size - this.buffer.length,
      threshold: Math.ceil(this.size / 2),
      heartbeatMs: () => (this.hasBeenIdle ? undefined : IDLE_MS),
      onMessage: (message) => this.take(message),
      onIdle: () => this.beIdle(),
      onBroken: () => this.end(),
    });
    this.cleanups.push(connection.onReconnect(() => this.end()));
    const { signal } = options;
    if (signal) {
      const abort = () => this.abort();
      signal.addEventListener('abort', abort, { once: true });
      this.cleanups.push(() => signal.removeEventListener('abort', abort));
      if (signal.aborted) this.abort();
    }
    this.pulls.pull();
  }

  static async open(
    connection: Connection,
    options: TailOptions,
    startSequence: number,
  ): Promise<OrderedReader> {
    const name = `reader-${randomUUID()}`;
    const info = await connection.manager.consumers.add(options.stream, {
      name,
      filter_subject: options.filter,
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: startSequence,
      inactive_threshold: nanos(INACTIVE_MS),
      mem_storage: true,
      headers_only: options.headersOnly ?? false,
      num_replicas: 1,
    });
    return new OrderedReader(connection, options.stream, name, info.num_pending, options);
  }

  /**
   * Whether everything that was there at the start has been taken: what replaced some of it since comes after the rest.
   * While others write without a pause, nothing else says so: the server is never idle, and may count one too many.
   */
  get isComplete(): boolean {
    return this.taken >= this.expected;
  }

  /** The next message; undefined when this reader has ended. */
  async next(): Promise<StreamMessage | undefined> {
    while (this.buffer.length === 0 && !this.hasEnded) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const message = this.buffer.shift();
    if (message) this.taken++;
    this.pulls.pull();
    return message;
  }

  /** Gives up the consumer at the server. */
  close(): void {
    this.end();
    for (const cleanup of this.cleanups) cleanup();
    void this.pulls.stop();
    if (this.connection.isConnected())
      this.connection.nats.publish(`$JS.API.CONSUMER.DELETE.${this.stream}.${this.consumer}`);
  }

  private take(message: StreamMessage): void {
    if (this.hasEnded) return;
    if (message.deliverySequence !== this.lastDelivery + 1) {
      this.end();
      return;
    }
    this.lastDelivery = message.deliverySequence;
    this.buffer.push(message);
    this.wakeUp();
  }

  /**
   * The server has nothing to deliver. Its count of pending messages says so earlier, but not always: nats-server 2.9
   * may count one too many, and what was counted may be deleted meanwhile.
   */
  private beIdle(): void {
    if (this.hasBeenIdle || !this.wake) return;
    this.hasBeenIdle = true;
    this.onCaughtUp?.();
  }

  /** The reader is not wanted any more: what is buffered is not delivered either. */
  private abort(): void {
    this.buffer.length = 0;
    this.end();
  }

  private end(): void {
    this.hasEnded = true;
    this.wakeUp();
  }

  private wakeUp(): void {
    const wake = this.wake;
    this.wake = undefined;
    wake?.();
  }
}
