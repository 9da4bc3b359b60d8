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

  async term(reason: string): Promise<void> {
    if (this.isSettled) return;
    this.isSettled = true;
    const { subject, data, sequence } = this.message;
    try {
      await this.context.deadLetters.put({ origin: this.origin, subject, data, reason, sequence });
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
