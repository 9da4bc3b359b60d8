import { setTimeout as sleep } from 'node:timers/promises';
import type { StepProgress } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { stepProgressCodec } from './codec.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES } from './stream/publisher.js';
import { tailMessages } from './stream/read-messages.js';
import { ALL_PROGRESS, progressSubject, STREAMS } from './subjects.js';

/** Progress that waits for the connection; the oldest goes first. */
const PUBLISH_BUFFER = 1_024;
/** Messages between two round trips to the server. */
const FLUSH_EVERY = 64;
/** Progress that waits for its reader, unless the reader asks otherwise. */
const READ_BUFFER = 1_024;

/** How a run's progress is read. */
export interface ProgressSubscribeOptions {
  /** Only this step's. */
  readonly stepId?: string;
  /** Stored progress first. Default false: from now on. */
  readonly replay?: boolean;
  /** Most messages that wait for the reader; the oldest are dropped beyond. Default 1,024. */
  readonly bufferSize?: number;
  readonly signal?: AbortSignal;
}

/** Progress of a run, as it comes. */
export interface ProgressFeed extends AsyncIterable<StepProgress> {
  /** Messages dropped because the reader was slow. */
  readonly dropped: number;
  /** Ends the feed. */
  close(): void;
}

/** Where running steps stand. Never state: what is lost is a point of a curve. */
export class ProgressChannel {
  private readonly waiting: { subject: string; data: Uint8Array }[] = [];
  private droppedCount = 0;
  private sending: Promise<void> | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly logger: Logger | undefined,
  ) {}

  /** Messages that were not sent because the buffer was full or they were too large. */
  get dropped(): number {
    return this.droppedCount;
  }

  /** Sends progress when there is time. Never waits; while NATS is away the newest is kept. */
  publish(progress: StepProgress): void {
    let message: { subject: string; data: Uint8Array };
    try {
      const subject = progressSubject(progress.run, progress.stepId);
      message = { subject, data: stepProgressCodec.encode(progress) };
    } catch (error) {
      this.droppedCount++;
      this.logger?.warn('events.handler_failed', { stream: STREAMS.progress, error });
      return;
    }
    if (message.data.length > MAX_MESSAGE_BYTES) {
      this.droppedCount++;
      return;
    }
    if (this.waiting.length >= PUBLISH_BUFFER) {
      this.waiting.shift();
      this.droppedCount++;
    }
    this.waiting.push(message);
    this.sending ??= this.send().finally(() => {
      this.sending = undefined;
    });
  }

  /** Waits until everything is sent, or a time is over. */
  async flush(timeoutMs = 2_000): Promise<void> {
    if (this.sending) await Promise.race([this.sending, sleep(timeoutMs, undefined, { ref: false })]);
  }

  /** Progress of a run from now on, or from what is stored on. A slow reader loses the oldest, and it is counted. */
  subscribe(run: string, options: ProgressSubscribeOptions = {}): ProgressFeed {
    return new BoundedFeed(this.connection, progressSubject(run, options.stepId), options, this.logger);
  }

  /** Hears the progress of all runs from now on. Nothing is stored for it: what comes while NATS is away is missed. */
  observe(listener: (progress: StepProgress) => void): { stop(): void } {
    const subscription = this.connection.nats.subscribe(ALL_PROGRESS, {
      callback: (error, message) => {
        if (error) return;
        try {
          listener(stepProgressCodec.decode(message.data));
        } catch (failure) {
          this.logger?.warn('events.handler_failed', { subject: message.subject, error: failure });
        }
      },
    });
    return { stop: () => subscription.unsubscribe() };
  }

  private async send(): Promise<void> {
    while (this.waiting.length > 0 && !this.connection.isClosed()) {
      try {
        if (!(await this.connection.whenConnected(1_000))) continue;
        for (const { subject, data } of this.waiting.splice(0, FLUSH_EVERY))
          this.connection.nats.publish(subject, data);
        await this.connection.nats.flush();
      } catch {
        // the connection went away: what was sent may be lost, the rest waits
        await sleep(100);
      }
    }
  }
}

/** Takes progress as fast as it comes, and hands it out as fast as it is read. */
class BoundedFeed implements ProgressFeed {
  private readonly buffer: StepProgress[] = [];
  private readonly size: number;
  private readonly end = new AbortController();
  private droppedCount = 0;
  private isReplaying: boolean;
  private wake: (() => void) | undefined;
  private room: (() => void) | undefined;
  private failure: unknown;

  constructor(
    connection: Connection,
    subject: string,
    options: ProgressSubscribeOptions,
    private readonly logger: Logger | undefined,
  ) {
    this.size = options.bufferSize ?? READ_BUFFER;
    this.isReplaying = options.replay ?? false;
    if (options.signal?.aborted) this.close();
    const close = () => this.close();
    options.signal?.addEventListener('abort', close, { once: true });
    this.end.signal.addEventListener('abort', () => options.signal?.removeEventListener('abort', close));
    void this.fill(connection, subject)
      .catch((error: unknown) => {
        this.failure = error;
      })
      .finally(() => this.close());
  }

  get dropped(): number {
    return this.droppedCount;
  }

  close(): void {
    this.end.abort();
    this.wake?.();
    this.room?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StepProgress, void, undefined> {
    try {
      for (;;) {
        const progress = this.buffer.shift();
        this.room?.();
        if (progress) yield progress;
        else if (this.end.signal.aborted) break;
        else
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
      }
    } finally {
      this.close();
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private async fill(connection: Connection, subject: string): Promise<void> {
    const startSequence = this.isReplaying ? 1 : await nextSequence(connection);
    const messages = tailMessages(connection, {
      stream: STREAMS.progress,
      filter: subject,
      startSequence,
      signal: this.end.signal,
      logger: this.logger,
      onCaughtUp: () => {
        this.isReplaying = false;
      },
    });
    for await (const { data } of messages) {
      // what is stored is read at the reader's pace: nothing of it is lost
      while (this.isReplaying && this.buffer.length >= this.size && !this.end.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.room = resolve;
        });
      }
      this.add(data);
    }
  }

  private add(data: Uint8Array): void {
    let progress: StepProgress;
    try {
      progress = stepProgressCodec.decode(data);
    } catch (error) {
      this.logger?.warn('events.handler_failed', { stream: STREAMS.progress, error });
      return;
    }
    if (this.buffer.length >= this.size) {
      this.buffer.shift();
      this.droppedCount++;
    }
    this.buffer.push(progress);
    this.wake?.();
  }
}

async function nextSequence(connection: Connection): Promise<number> {
  const info = await connection.manager.streams.info(STREAMS.progress);
  return info.state.last_seq + 1;
}
