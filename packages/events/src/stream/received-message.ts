import type { Logger, Metrics } from '@agentforge/telemetry';
import type { DeadLetters } from '../dead-letters.js';
import type { Connection } from './connection.js';
import { ACK, IN_PROGRESS, nakOf, type StreamMessage, TERM } from './stream-message.js';

/** What a consumer needs around it. */
export interface WorkContext {
  readonly connection: Connection;
  readonly deadLetters: DeadLetters;
  readonly logger: Logger | undefined;
  readonly metrics: Metrics | undefined;
}

/** Why a message is given up. */
export interface Refusal {
  /** UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** What is wrong, in words. */
  readonly message: string;
  /** Whether the same work, sent again, fails again. Default false. */
  readonly isPermanent?: boolean;
}

/** Told about every message that became a dead letter, before the queue forgets it; when it fails, all is done again. */
export type OnLetter = (message: StreamMessage, refusal: Refusal, letterSequence: number) => Promise<void>;

/** How often, and for how long each time, a confirmed acknowledgement is tried. */
const ACK_TIMEOUT_MS = 2_000;
const ACK_TRIES = 3;
/** Wait before a message comes again whose dead letter could not be kept. */
const LETTER_RETRY_MS = 1_000;

/** Settles one message, once. */
export class ReceivedMessage {
  private isSettled = false;

  constructor(
    private readonly message: StreamMessage,
    private readonly context: WorkContext,
    private readonly origin: string,
    private readonly confirmsAcks: boolean,
    private readonly onLetter: OnLetter | undefined,
  ) {}

  working(): void {
    if (!this.isSettled) this.say(IN_PROGRESS);
  }

  async ack(): Promise<void> {
    if (this.isSettled) return;
    this.isSettled = true;
    if (!this.confirmsAcks) return this.say(ACK);
    const { connection } = this.context;
    for (let attempt = 0; attempt < ACK_TRIES && !connection.isClosed(); attempt++) {
      try {
        if (!(await connection.whenConnected(ACK_TIMEOUT_MS))) continue;
        await connection.nats.request(this.message.ackSubject, ACK, { timeout: ACK_TIMEOUT_MS });
        return;
      } catch {
        // unconfirmed: say it again; if the server never hears it, it delivers again, which consumers survive
      }
    }
  }

  nak(delayMs = 0): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.say(nakOf(delayMs));
  }

  async term(refusal: Refusal): Promise<void> {
    if (this.isSettled) return;
    this.isSettled = true;
    const { subject, data, sequence, delivery } = this.message;
    const { reason, message } = refusal;
    // A message that was sent again has an id of its own, which begins with that of its attempt.
    const messageId = this.message.header('Nats-Msg-Id');
    const letter = { origin: this.origin, subject, data, sequence, reason, message, messageId };
    try {
      const kept = await this.context.deadLetters.put({ ...letter, deliveries: delivery });
      await this.onLetter?.(this.message, refusal, kept);
      this.say(TERM);
    } catch (error) {
      this.context.logger?.error('events.handler_failed', { subject, sequence, error });
      this.say(nakOf(LETTER_RETRY_MS));
    }
  }

  private say(word: Uint8Array): void {
    if (!this.context.connection.isClosed())
      this.context.connection.nats.publish(this.message.ackSubject, word);
  }
}
