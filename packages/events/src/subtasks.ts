import type { SubtaskOffer, SubtaskReply, SubtaskRequest } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { type Msg, RequestError } from '@nats-io/transport-node';
import { subtaskOfferCodec, subtaskReplyCodec, subtaskRequestCodec } from './codec.js';
import type { Connection } from './stream/connection.js';
import { subtaskOffersSubject, subtaskSessionSubject } from './subjects.js';

/** Time a replica waits for an answer of the worker that it helps. */
const REQUEST_TIMEOUT_MS = 2_000;

/** What offers subtasks. */
export interface SubtaskSession {
  /** Nothing is answered any more: whoever asks learns at once that nobody is there. */
  close(): void;
}

/**
 * Subtasks on core NATS: a worker offers them to all replicas of its phase, and those that have a free thread ask it for
 * one after another. Nothing is stored: the worker itself is the queue, and computes what nobody else does.
 */
export class Subtasks {
  constructor(
    private readonly connection: Connection,
    private readonly logger: Logger | undefined,
  ) {}

  /** Says to all replicas of a phase what is open. Lost when nobody listens. */
  offer(offer: SubtaskOffer): void {
    const data = subtaskOfferCodec.encode(offer);
    if (this.connection.isConnected()) this.connection.nats.publish(subtaskOffersSubject(offer.phase), data);
  }

  /** Hears the offers of a phase. */
  hear(phase: string, listener: (offer: SubtaskOffer) => void): { stop(): void } {
    const subject = subtaskOffersSubject(phase);
    return this.subscribe(subject, (message) => {
      const offer = subtaskOfferCodec.decode(message.data);
      if (offer.phase === phase) listener(offer);
    });
  }

  /** Answers requests of a session. Malformed ones, and those of another session, get no answer. */
  serve(phase: string, session: string, handler: (request: SubtaskRequest) => SubtaskReply): SubtaskSession {
    const subscription = this.subscribe(subtaskSessionSubject(phase, session), (message) => {
      const request = subtaskRequestCodec.decode(message.data);
      if (request.session === session) message.respond(subtaskReplyCodec.encode(handler(request)));
    });
    return { close: () => subscription.stop() };
  }

  /**
   * Asks the worker of a session.
   * @returns 'nobody' when the session is over; undefined when no readable answer came: ask again
   */
  async ask(phase: string, request: SubtaskRequest): Promise<SubtaskReply | 'nobody' | undefined> {
    const data = subtaskRequestCodec.encode(request);
    if (!this.connection.isConnected()) return undefined;
    const subject = subtaskSessionSubject(phase, request.session);
    try {
      const answer = await this.connection.nats.request(subject, data, { timeout: REQUEST_TIMEOUT_MS });
      return subtaskReplyCodec.decode(answer.data);
    } catch (error) {
      if (error instanceof RequestError && error.isNoResponders()) return 'nobody';
      this.logger?.debug('events.handler_failed', { subject, error });
      return undefined;
    }
  }

  private subscribe(subject: string, handle: (message: Msg) => void): { stop(): void } {
    const subscription = this.connection.nats.subscribe(subject, {
      callback: (error, message) => {
        if (error) return;
        try {
          handle(message);
        } catch (failure) {
          this.logger?.warn('events.handler_failed', { subject, error: failure });
        }
      },
    });
    return { stop: () => subscription.unsubscribe() };
  }
}
