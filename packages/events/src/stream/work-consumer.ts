import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';
import { extractContext, runInContext, type TelemetryContext, withSpan } from '@agentforge/telemetry';
import { UnprocessableMessageError } from '../events.errors.js';
import type { StreamName } from '../subjects.js';
import { KeyedQueue } from './keyed-queue.js';
import { PullSubscription } from './pull-subscription.js';
import { type OnLetter, ReceivedMessage, type Refusal, type WorkContext } from './received-message.js';
import type { StreamMessage } from './stream-message.js';

/** A decoded message of a work queue, and the words that settle it. The first settling word counts. */
export interface Delivery<T> {
  readonly value: T;
  /** 1 when it is delivered for the first time. */
  readonly delivery: number;
  /** Trace, request, tenant and run of the publisher. */
  readonly context: TelemetryContext;
  /** Aborts once pulling stops: finish, or hand back. */
  readonly signal: AbortSignal;
  /** Restarts the ack-wait. */
  working(): void;
  /** Done: never delivered again. Resolves when the server knows, or cannot be told. */
  ack(): Promise<void>;
  /** Deliver again, not before the delay is over. */
  nak(delayMs?: number): void;
  /** Cannot be processed: kept as a dead letter, never delivered again. */
  term(refusal: Refusal): Promise<void>;
}

/** A running consumption of a work queue. */
export interface Consumption {
  /** Messages whose handlers have not ended. */
  readonly inFlight: number;
  /** Whether new messages are asked for. */
  readonly isPulling: boolean;
  /** Ends pulling; nothing new is handed to the handler afterwards. */
  stopPulling(): Promise<void>;
  /** Resolves when no handler runs. */
  finished(): Promise<void>;
  /** Stops pulling and waits for the handlers. */
  stop(): Promise<void>;
}

/** What is consumed and how. */
export interface WorkOptions<T> {
  readonly stream: StreamName;
  readonly consumer: string;
  /** Origin of its dead letters. */
  readonly origin: string;
  /** Creates the durable consumer when it is gone. */
  ensure(): Promise<void>;
  /** @throws AppError  the message becomes a dead letter with its reason */
  decode(data: Uint8Array): T;
  /** @throws UnprocessableMessageError  the message becomes a dead letter; after any other error it comes again */
  handle(delivery: Delivery<T>): Promise<void>;
  /** Told about every message that became a dead letter. */
  readonly onLetter?: OnLetter;
  /** Most messages whose handlers run, or wait for one of the same key. */
  readonly concurrency: number;
  readonly ackWaitMs: number;
  /** Whether in-progress acks are sent while a handler runs. */
  readonly keepAlive: boolean;
  /** Whether `ack()` waits for the server. */
  readonly confirmsAcks: boolean;
  /** Messages of one key are handled one after another. */
  readonly keyOf?: (value: T) => string;
  /** Whether a message whose handler has failed becomes a dead letter; from its hundredth delivery on it does in any case. */
  readonly isLastTry?: (value: T) => Promise<boolean>;
  /** How often it is checked that messages that wait do arrive, ms. Default 10,000. */
  readonly watchdogMs?: number;
}

const MAX_DELIVERIES = 100;
const DEFAULT_WATCHDOG_MS = 10_000;
/** Waits before a broken subscription starts anew. */
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 2_000;
/** Waits before a failed message is delivered again. */
const FIRST_NAK_MS = 1_000;
const LONGEST_NAK_MS = 60_000;

/** Pulls a durable consumer for ever and hands its messages to a handler. */
export class WorkConsumer<T> implements Consumption {
  private session: PullSubscription | undefined;
  private readonly stopping = new AbortController();
  private readonly queue = new KeyedQueue();
  private readonly watchdog: NodeJS.Timeout;
  private readonly ignoreReconnects: () => void;
  private idleWaiters: (() => void)[] = [];
  private running = 0;
  private delivered = 0;
  private deliveredAtLastCheck = 0;
  private starvedChecks = 0;
  private restarting = false;

  private constructor(
    private readonly context: WorkContext,
    private readonly options: WorkOptions<T>,
  ) {
    this.ignoreReconnects = context.connection.onReconnect(() => this.restart('reconnected'));
    this.watchdog = setInterval(() => void this.checkStarvation(), options.watchdogMs ?? DEFAULT_WATCHDOG_MS);
    this.watchdog.unref();
  }

  /** Creates the consumer and begins to pull. */
  static async start<T>(context: WorkContext, options: WorkOptions<T>): Promise<WorkConsumer<T>> {
    await options.ensure();
    const consumer = new WorkConsumer(context, options);
    consumer.open();
    return consumer;
  }

  get inFlight(): number {
    return this.running;
  }

  get isPulling(): boolean {
    return !this.stopping.signal.aborted;
  }

  async stopPulling(): Promise<void> {
    this.stopping.abort();
    clearInterval(this.watchdog);
    this.ignoreReconnects();
    await this.session?.stop();
  }

  async finished(): Promise<void> {
    if (this.running > 0) await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  async stop(): Promise<void> {
    await this.stopPulling();
    await this.finished();
  }

  private open(): void {
    const { stream, consumer, concurrency } = this.options;
    this.session = new PullSubscription(this.context.connection, {
      stream,
      consumer,
      demand: () => concurrency - this.running,
      threshold: Math.ceil(concurrency / 8),
      onMessage: (message) => this.accept(message),
      onBroken: (reason) => this.restart(reason),
    });
    this.session.pull();
  }

  /** Begins anew with a fresh subscription, and a fresh consumer when it is gone. */
  private restart(reason: string): void {
    if (this.restarting || !this.isPulling) return;
    this.restarting = true;
    void this.reopen(reason).finally(() => {
      this.restarting = false;
    });
  }

  private async reopen(reason: string): Promise<void> {
    const { connection, logger, metrics } = this.context;
    const { consumer, stream } = this.options;
    metrics?.counter('consumerRestarts').inc({ consumer });
    logger?.info('events.consumer_restarted', { consumer, stream, reason });
    for (let waitMs = FIRST_RESTART_MS; this.isPulling; waitMs = Math.min(waitMs * 2, LONGEST_RESTART_MS)) {
      await this.session?.stop();
      try {
        if (await connection.whenConnected(LONGEST_RESTART_MS, this.stopping.signal)) {
          await this.options.ensure();
          if (this.isPulling) this.open();
          return;
        }
      } catch (error) {
        if (connection.isClosed()) return;
        logger?.warn('events.waiting', { consumer, stream, error });
        await sleep(waitMs);
      }
    }
  }

  /** Messages wait, capacity is free, requests are out, and nothing comes: twice in a row means stuck. */
  private async checkStarvation(): Promise<void> {
    const isHungry = (this.session?.requested ?? 0) > 0 && this.delivered === this.deliveredAtLastCheck;
    this.deliveredAtLastCheck = this.delivered;
    if (!isHungry || this.restarting || !this.context.connection.isConnected()) {
      this.starvedChecks = 0;
      return;
    }
    const { stream, consumer } = this.options;
    try {
      const info = await this.context.connection.manager.consumers.info(stream, consumer);
      this.starvedChecks = info.num_pending > 0 ? this.starvedChecks + 1 : 0;
    } catch (error) {
      this.context.logger?.warn('events.consumer_stuck', { stream, consumer, error });
      this.starvedChecks = 2;
    }
    if (this.starvedChecks < 2 || this.delivered !== this.deliveredAtLastCheck) return;
    this.starvedChecks = 0;
    this.context.logger?.warn('events.consumer_stuck', { stream, consumer });
    this.restart('stuck');
  }

  private accept(message: StreamMessage): void {
    this.delivered++;
    this.running++;
    void this.process(message).finally(() => {
      this.running--;
      this.session?.pull();
      if (this.running === 0) {
        const waiters = this.idleWaiters;
        this.idleWaiters = [];
        for (const wake of waiters) wake();
      }
    });
  }

  private async process(message: StreamMessage): Promise<void> {
    const { options, context } = this;
    const received = new ReceivedMessage(
      message,
      context,
      options.origin,
      options.confirmsAcks,
      options.onLetter,
    );
    let value: T;
    try {
      value = options.decode(message.data);
    } catch (error) {
      await received.term(refusalOf(error));
      this.count('malformed');
      return;
    }
    const keepAlive = options.keepAlive
      ? setInterval(() => received.working(), options.ackWaitMs / 3).unref()
      : undefined;
    try {
      const key = options.keyOf?.(value);
      const handle = () => this.handle(value, message, received);
      await (key === undefined ? handle() : this.queue.run(key, handle));
    } finally {
      clearInterval(keepAlive);
    }
  }

  private async handle(value: T, message: StreamMessage, received: ReceivedMessage): Promise<void> {
    const { stream, consumer } = this.options;
    const context = extractContext((name) => message.header(name));
    const { delivery } = message;
    const words = {
      working: () => received.working(),
      ack: () => received.ack(),
      nak: (delayMs?: number) => received.nak(delayMs),
      term: (refusal: Refusal) => received.term(refusal),
    };
    const entry = { value, delivery, context, signal: this.stopping.signal, ...words };
    try {
      await runInContext(context, () =>
        withSpan(
          'events.consume',
          { stream, consumer, deliveries: delivery },
          () => this.options.handle(entry),
          { kind: 'consumer', target: consumer },
        ),
      );
      await received.ack();
      this.count('ok');
    } catch (error) {
      this.count('error');
      this.context.logger?.error('events.handler_failed', { stream, consumer, deliveries: delivery, error });
      if (error instanceof UnprocessableMessageError || (await this.isLastTry(value, delivery)))
        await received.term(refusalOf(error));
      else received.nak(Math.min(FIRST_NAK_MS * 2 ** Math.min(delivery - 1, 10), LONGEST_NAK_MS));
    }
  }

  private async isLastTry(value: T, delivery: number): Promise<boolean> {
    const { isLastTry, stream, consumer } = this.options;
    try {
      if (await isLastTry?.(value)) return true;
    } catch (error) {
      this.context.logger?.warn('events.handler_failed', { stream, consumer, deliveries: delivery, error });
    }
    return delivery >= MAX_DELIVERIES;
  }

  private count(outcome: string): void {
    const { stream, consumer } = this.options;
    this.context.metrics?.counter('messagesConsumed').inc({ stream, consumer, outcome });
  }
}

function refusalOf(thrown: unknown): Refusal {
  const { reason = 'HANDLER_FAILED', message } = AppError.from(thrown);
  return { reason, message };
}
