import { randomUUID } from 'node:crypto';
import type { Logger, Metrics } from '@agentforge/telemetry';
import type { StoredMsg } from '@nats-io/jetstream';
import { stepReportCodec, stepTaskCodec } from './codec.js';
import { DeadLetterNotFoundError, MalformedMessageError, NotRedrivableError } from './events.errors.js';
import { type LetterSubject, letterSubjectOf } from './letter-subject.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES, type Publisher } from './stream/publisher.js';
import { readMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf, isMessageGone } from './stream/server-reply.js';
import { deadLetterSubject, STREAMS, taskSubject } from './subjects.js';

/** What is known of a message that could not be processed, besides its bytes. */
export interface DeadLetterHead extends LetterSubject {
  /** Sequence within the dead letters. */
  readonly sequence: number;
  /** Where it came from: `tasks`, `reports`, `runs`. */
  readonly origin: string;
  /** Subject it was published on. */
  readonly subject: string;
  /** Why it could not be processed, UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** Why, in words. */
  readonly message: string;
  /** When it was given up. */
  readonly time: Date;
  /** How often it was delivered; 0 when that is not known. */
  readonly deliveries: number;
  /** Size of the message as it came. */
  readonly sizeBytes: number;
  /** Whether only its first part is kept. */
  readonly isTruncated: boolean;
}

/** A message that could not be processed. */
export interface DeadLetter extends DeadLetterHead {
  /** Its payload, as it came. */
  readonly data: Uint8Array;
}

/** What is put aside. */
export interface NewDeadLetter {
  readonly origin: string;
  readonly subject: string;
  /** UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** In words. */
  readonly message: string;
  readonly data: Uint8Array;
  /** Sequence within its stream; the same message put aside twice within two minutes is kept once. */
  readonly sequence?: number;
  readonly deliveries?: number;
  /** De-duplication id that it was published with: says what it is about when its bytes do not. */
  readonly messageId?: string | undefined;
}

const HEADERS = {
  reason: 'forge-reason',
  message: 'forge-message',
  subject: 'forge-subject',
  messageId: 'forge-message-id',
  deliveries: 'forge-deliveries',
  size: 'forge-size',
} as const;
const SIZE_WITHOUT_BYTES = 'Nats-Msg-Size';
const TIMEOUT_MS = 10_000;
const MAX_MESSAGE_LENGTH = 500;
/** Letters that are looked at together when pages are read backwards. */
const CHUNK = 500;
/** Most letters that are looked at for one page; a filter that meets fewer gives a short page and a continuation. */
const MAX_SCAN = 10_000;

/** Keeps messages that cannot be processed, with the reason, until somebody looks at them. */
export class DeadLetters {
  constructor(
    private readonly connection: Connection,
    private readonly publisher: Publisher,
    private readonly logger: Logger | undefined,
    private readonly metrics: Metrics | undefined,
  ) {}

  /** Puts a message aside. @returns its sequence among the letters @throws EventLogUnavailableError UNAVAILABLE */
  async put(letter: NewDeadLetter): Promise<number> {
    const { origin, subject, sequence, reason, messageId } = letter;
    const message = printable(letter.message).slice(0, MAX_MESSAGE_LENGTH);
    const ack = await this.publisher.publish({
      stream: STREAMS.deadLetters,
      subject: deadLetterSubject(origin),
      data: letter.data.subarray(0, MAX_MESSAGE_BYTES),
      id: sequence === undefined ? randomUUID() : `${subject}:${sequence}`,
      headers: {
        [HEADERS.reason]: reason,
        [HEADERS.message]: message,
        [HEADERS.subject]: subject,
        [HEADERS.size]: String(letter.data.length),
        ...(messageId ? { [HEADERS.messageId]: printable(messageId) } : {}),
        ...(letter.deliveries ? { [HEADERS.deliveries]: String(letter.deliveries) } : {}),
      },
      timeoutMs: TIMEOUT_MS,
    });
    if (!ack.duplicate) {
      this.metrics?.counter('deadLetters').inc({ stream: origin });
      this.logger?.warn('events.dead_letter', { stream: origin, subject, sequence, reason, message });
    }
    return ack.seq;
  }

  /** Dead letters after a sequence, oldest first. */
  async list(
    options: { origin?: string; limit?: number; afterSequence?: number } = {},
  ): Promise<DeadLetter[]> {
    const { origin, limit = 100, afterSequence = 0 } = options;
    const filter = origin === undefined ? 'forge.dead.*' : deadLetterSubject(origin);
    const letters: DeadLetter[] = [];
    for await (const message of readMessages(this.connection, {
      stream: STREAMS.deadLetters,
      filter,
      startSequence: afterSequence + 1,
    })) {
      letters.push({ ...headOf(message, message.data.length), data: message.data });
      if (letters.length >= limit) break;
    }
    return letters;
  }

  /**
   * One page, newest first, without bytes.
   * @param before     only those below this sequence; absent: from the newest
   * @param isWanted   which ones
   * @returns the letters, and where the next page begins; undefined at the end
   */
  async page(options: {
    readonly limit: number;
    readonly before?: number;
    isWanted(letter: DeadLetterHead): boolean;
  }): Promise<{ readonly letters: readonly DeadLetterHead[]; readonly next: number | undefined }> {
    const { state } = await this.connection.manager.streams.info(STREAMS.deadLetters);
    let end = Math.min(options.before ?? Number.POSITIVE_INFINITY, state.last_seq + 1);
    const lowest = Math.max(1, state.first_seq, end - MAX_SCAN);
    const letters: DeadLetterHead[] = [];
    while (end > lowest) {
      const start = Math.max(lowest, end - CHUNK);
      for (const letter of (await this.heads(start, end)).reverse()) {
        if (!options.isWanted(letter)) continue;
        if (letters.length === options.limit) return { letters, next: letters.at(-1)?.sequence ?? 0 };
        letters.push(letter);
      }
      end = start;
    }
    return { letters, next: lowest > Math.max(1, state.first_seq) ? lowest : undefined };
  }

  /** One with its bytes. @throws DeadLetterNotFoundError NOT_FOUND */
  async get(sequence: number): Promise<DeadLetter> {
    const stored = await this.connection.manager.streams
      .getMessage(STREAMS.deadLetters, { seq: sequence })
      .catch((error: unknown) => {
        if (apiCodeOf(error) === API_CODES.messageNotFound) return null;
        throw error;
      });
    if (!stored) throw new DeadLetterNotFoundError(sequence);
    return { ...headOf(toHeadSource(stored), stored.data.length), data: stored.data };
  }

  /**
   * Publishes a dead letter of the task or report queue on its subject again, byte for byte, and removes it.
   * @throws DeadLetterNotFoundError  NOT_FOUND
   * @throws NotRedrivableError  FAILED_PRECONDITION: it belongs to a log, was cut, or cannot be read
   * @throws StreamFullError, EventLogUnavailableError  it is still there
   */
  async redrive(sequence: number): Promise<DeadLetter> {
    const letter = await this.get(sequence);
    const stream = checkRedrivable(letter);
    const { data, phase, attemptId } = letter;
    const isTask = stream === STREAMS.tasks && attemptId !== '';
    const subject = isTask ? taskSubject(phase, attemptId) : letter.subject;
    // The id carries the attempt, so that a message that fails again is still known by it.
    const id = `${letter.attemptId}:redrive:${sequence}`;
    await this.publisher.publish({ stream, subject, data, id, timeoutMs: TIMEOUT_MS });
    await this.remove(sequence);
    this.logger?.info('events.letter_redriven', { stream: letter.origin, subject, sequence });
    return { ...letter, subject };
  }

  /** Removes one for good. @throws DeadLetterNotFoundError NOT_FOUND */
  async remove(sequence: number): Promise<void> {
    try {
      await this.connection.manager.streams.deleteMessage(STREAMS.deadLetters, sequence);
    } catch (error) {
      if (isMessageGone(error)) throw new DeadLetterNotFoundError(sequence);
      throw error;
    }
    this.logger?.info('events.letter_deleted', { sequence });
  }

  /** How many there are of each origin. */
  async counts(): Promise<ReadonlyMap<string, number>> {
    const { state } = await this.connection.manager.streams.info(STREAMS.deadLetters, {
      subjects_filter: 'forge.dead.*',
    });
    const known = Object.entries(state.subjects ?? {}).map(
      ([subject, count]) => [originOf(subject), count] as const,
    );
    return new Map([...['tasks', 'reports', 'runs'].map((origin) => [origin, 0] as const), ...known]);
  }

  /** Letters of [start, end), oldest first, without bytes. */
  private async heads(start: number, end: number): Promise<DeadLetterHead[]> {
    const heads: DeadLetterHead[] = [];
    for await (const message of readMessages(this.connection, {
      stream: STREAMS.deadLetters,
      filter: 'forge.dead.*',
      startSequence: start,
      headersOnly: true,
    })) {
      if (message.sequence >= end) break;
      heads.push(headOf(message, Number(message.header(SIZE_WITHOUT_BYTES) ?? 0)));
    }
    return heads;
  }
}

/** The stream that takes it again. @throws NotRedrivableError FAILED_PRECONDITION */
export function checkRedrivable({ sequence, origin, subject, isTruncated, data }: DeadLetter) {
  const stream = [STREAMS.tasks, STREAMS.reports].find((name) => subject.startsWith(subjectPrefixOf(name)));
  if (!stream)
    throw new NotRedrivableError(
      sequence,
      `it belongs to the log of "${origin}", which takes no message twice; delete it`,
    );
  if (isTruncated)
    throw new NotRedrivableError(sequence, 'only its first part was kept; delete it and retry the step');
  try {
    (stream === STREAMS.tasks ? stepTaskCodec : stepReportCodec).decode(data);
  } catch (error) {
    // A newer release may read what this one is too old for; bytes that are no message stay so.
    if (error instanceof MalformedMessageError)
      throw new NotRedrivableError(sequence, `${error.message}; delete it and retry the step`);
  }
  return stream;
}

interface HeadSource {
  readonly sequence: number;
  readonly subject: string;
  readonly time: Date;
  header(name: string): string | undefined;
}

const toHeadSource = (stored: StoredMsg): HeadSource => ({
  sequence: stored.seq,
  subject: stored.subject,
  time: stored.time,
  header: (name) => stored.header.get(name) || undefined,
});

function headOf(message: HeadSource, keptBytes: number): DeadLetterHead {
  const subject = message.header(HEADERS.subject) ?? '';
  const sizeBytes = Number(message.header(HEADERS.size) ?? keptBytes);
  return {
    ...letterSubjectOf(subject, message.header(HEADERS.messageId)),
    sequence: message.sequence,
    origin: originOf(message.subject),
    subject,
    reason: message.header(HEADERS.reason) ?? '',
    message: message.header(HEADERS.message) ?? '',
    time: message.time,
    deliveries: Number(message.header(HEADERS.deliveries) ?? 0),
    sizeBytes,
    isTruncated: sizeBytes > MAX_MESSAGE_BYTES,
  };
}

const originOf = (subject: string): string => subject.split('.')[2] ?? '';

/** Header values are one line of ASCII. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ');

/** `FORGE_TASKS` has subjects `forge.tasks.…`. */
function subjectPrefixOf(stream: string): string {
  return `${stream.toLowerCase().replaceAll('_', '.')}.`;
}
