import type { Msg } from '@nats-io/transport-node';

/** A message of a stream as a consumer delivers it. */
export interface StreamMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Sequence within the stream. */
  readonly sequence: number;
  /** Sequence within the consumer's deliveries, 1 for the first. */
  readonly deliverySequence: number;
  /** How often this message was delivered, 1 for the first time. */
  readonly delivery: number;
  /** When the stream stored it. */
  readonly time: Date;
  /** Messages behind it for this consumer when it was delivered. */
  readonly pending: number;
  /** Subject that takes acknowledgements. */
  readonly ackSubject: string;
  /** Value of a header. */
  header(name: string): string | undefined;
}

/** Words that a consumer understands on a message's ack subject. */
export const ACK = Buffer.from('+ACK');
export const IN_PROGRESS = Buffer.from('+WPI');
export const TERM = Buffer.from('+TERM');

/** Asks for another delivery, after a delay. */
export function nakOf(delayMs: number): Buffer {
  return Buffer.from(delayMs > 0 ? `-NAK {"delay":${Math.round(delayMs * 1e6)}}` : '-NAK');
}

/**
 * Reads the delivery facts from the ack subject: "$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.
 * <consumer seq>.<nanoseconds>.<pending>", with domain and account before the stream on newer servers.
 * @returns undefined when the message did not come from a consumer
 */
export function toStreamMessage(message: Msg): StreamMessage | undefined {
  const ackSubject = message.reply ?? '';
  const tokens = ackSubject.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return undefined;
  const offset = tokens.length >= 11 ? 6 : 4;
  const [delivery, sequence, deliverySequence, nanoseconds, pending] = tokens
    .slice(offset, offset + 5)
    .map(Number);
  if (!delivery || !sequence || !deliverySequence || nanoseconds === undefined || pending === undefined)
    return undefined;
  return {
    subject: message.subject,
    data: message.data,
    sequence,
    deliverySequence,
    delivery,
    time: new Date(nanoseconds / 1e6),
    pending,
    ackSubject,
    header: (name) => message.headers?.get(name) || undefined,
  };
}
