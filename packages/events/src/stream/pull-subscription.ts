import { setTimeout as sleep } from 'node:timers/promises';
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import type { Connection } from './connection.js';
import { nakOf, type StreamMessage, toStreamMessage } from './stream-message.js';

/** What is pulled, and who wants it. */
export interface PullOptions {
  readonly stream: string;
  readonly consumer: string;
  /** How many more messages may be delivered now, those already asked for included. */
  demand(): number;
  /** Ask again only when at least this many more are wanted, unless nothing is asked for. Default 1. */
  readonly threshold?: number;
  /** How often the server says that it has nothing to deliver. Default {@link HEARTBEAT_MS}. */
  heartbeatMs?(): number | undefined;
  onMessage(message: StreamMessage): void;
  /** The server has had nothing to deliver for the time between two heartbeats. */
  onIdle?(): void;
  /** Delivery stopped for a reason; start a new subscription after looking after the consumer. */
  onBroken(reason: string): void;
}

/** Life of one request for messages at the server. */
const EXPIRES_MS = 30_000;
/** The server says this often that a request is alive. */
const HEARTBEAT_MS = 2_000;
/** Silence after which a request counts as lost: two heartbeats and some. */
const SILENCE_MS = 5_000;
/** Time to wait for the messages that are on their way when pulling stops. */
const STOP_TIMEOUT_MS = 1_000;

/** "NATS/1.0" status codes on a pull request's reply subject. */
const STATUS_HEARTBEAT = 100;
const STATUS_NO_MESSAGES = 404;
const STATUS_EXPIRED = 408;

/**
 * Pulls messages of one consumer: never more than wanted, so nothing waits unseen in a buffer
 * while its ack-wait runs. Every request has its own reply subject; a request that goes silent is noticed.
 */
export class PullSubscription {
  private readonly inbox = createInbox();
  private readonly subscription: Subscription;
  /** Messages still owed by each request, oldest first. */
  private readonly requests = new Map<string, number>();
  private readonly silenceTimer: NodeJS.Timeout;
  private nextRequest = 0;
  private lastActivity = performance.now();
  private state: 'active' | 'broken' | 'stopped' = 'active';

  constructor(
    private readonly connection: Connection,
    private readonly options: PullOptions,
  ) {
    this.subscription = connection.nats.subscribe(`${this.inbox}.*`, {
      callback: (error, message) => (error ? this.break(error.message) : this.receive(message)),
    });
    this.silenceTimer = setInterval(() => this.checkSilence(), HEARTBEAT_MS);
    this.silenceTimer.unref();
  }

  /** Messages that were asked for and have not come. */
  get requested(): number {
    let sum = 0;
    for (const owed of this.requests.values()) sum += owed;
    return sum;
  }

  /** Asks for as many messages as are wanted now. */
  pull(): void {
    if (this.state !== 'active' || !this.connection.isConnected()) return;
    const requested = this.requested;
    const batch = this.options.demand() - requested;
    if (batch <= 0 || (requested > 0 && batch < (this.options.threshold ?? 1))) return;
    const reply = `${this.inbox}.${this.nextRequest++}`;
    if (this.requests.size === 0) this.lastActivity = performance.now();
    this.requests.set(reply, batch);
    const heartbeatMs = this.options.heartbeatMs?.() ?? HEARTBEAT_MS;
    const request = { batch, expires: EXPIRES_MS * 1e6, idle_heartbeat: heartbeatMs * 1e6 };
    this.connection.nats.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.options.stream}.${this.options.consumer}`,
      JSON.stringify(request),
      { reply },
    );
  }

  /** Ends pulling; messages on their way are given back. Resolves when none can come any more. */
  async stop(): Promise<void> {
    if (this.state === 'stopped') return;
    this.end('stopped');
    const drained = this.subscription.drain().catch(() => undefined);
    await Promise.race([drained, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    this.subscription.unsubscribe();
  }

  private receive(message: Msg): void {
    this.lastActivity = performance.now();
    const delivered = toStreamMessage(message);
    if (!delivered) {
      this.onStatus(message);
      return;
    }
    if (this.state !== 'active') {
      message.respond(nakOf(0));
      return;
    }
    const oldest = this.requests.entries().next().value;
    if (oldest) {
      const [reply, owed] = oldest;
      if (owed > 1) this.requests.set(reply, owed - 1);
      else this.requests.delete(reply);
    }
    this.options.onMessage(delivered);
    this.pull();
  }

  private onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === STATUS_HEARTBEAT) {
      this.options.onIdle?.();
      return;
    }
    this.requests.delete(message.subject);
    if (code === STATUS_EXPIRED || code === STATUS_NO_MESSAGES) this.pull();
    else this.break(`${code} ${message.headers?.description ?? ''}`.trim());
  }

  private checkSilence(): void {
    if (this.requests.size === 0) this.pull();
    else if (this.connection.isConnected() && performance.now() - this.lastActivity > SILENCE_MS)
      this.break('no heartbeat');
  }

  private break(reason: string): void {
    if (this.state !== 'active') return;
    this.end('broken');
    this.subscription.unsubscribe();
    this.options.onBroken(reason);
  }

  private end(state: 'broken' | 'stopped'): void {
    this.state = state;
    clearInterval(this.silenceTimer);
    this.requests.clear();
  }
}
