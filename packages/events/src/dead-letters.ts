import { randomUUID } from 'node:crypto';
import type { Logger, Metrics } from '@agentforge/telemetry';
import { DeadLetterNotFoundError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES, type Publisher } from './stream/publisher.js';
import { readMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { deadLetterSubject, STREAMS } from './subjects.js';

/** A message that could not be processed. */
export interface DeadLetter {
  /** Sequence within the dead letters. */
  readonly sequence: number;
  /** Where it came from: `tasks`, `reports`, `runs`. */
  readonly origin: string;
  /** Subject it was published on. */
  readonly subject: string;
  /** Why it could not be processed. */
  readonly reason: string;
  /** When it was given up. */
  readonly time: Date;
  /** Its payload, as it came. */
  readonly data: Uint8Array;
}

/** What is put aside. */
export interface NewDeadLetter {
  readonly origin: string;
  readonly subject: string;
  readonly reason: string;
  readonly data: Uint8Array;
  /** Sequence within its stream; the same message put aside twice within two minutes is kept once. */
  readonly sequence?: number;
}

const REASON_HEADER = 'forge-reason';
const SUBJECT_HEADER = 'forge-subject';
const TIMEOUT_MS = 10_000;
const MAX_REASON_LENGTH = 500;
/** Streams that take a message again; what belongs to a log is not appended a second time. */
const REDRIVABLE = [STREAMS.tasks, STREAMS.reports];

/** Keeps messages that cannot be processed, with the reason, until somebody looks at them. */
export class DeadLetters {
  constructor(
    private readonly connection: Connection,
    private readonly publisher: Publisher,
    private readonly logger: Logger | undefined,
    private readonly metrics: Metrics | undefined,
  ) {}

  /** Puts a message aside. @throws EventLogUnavailableError UNAVAILABLE */
  async put(letter: NewDeadLetter): Promise<void> {
    const { origin, subject, sequence } = letter;
    const reason = letter.reason.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_REASON_LENGTH);
    await this.publisher.publish({
      stream: STREAMS.deadLetters,
      subject: deadLetterSubject(origin),
      data: letter.data.subarray(0, MAX_MESSAGE_BYTES),
      id: sequence === undefined ? randomUUID() : `${subject}:${sequence}`,
      headers: { [REASON_HEADER]: reason, [SUBJECT_HEADER]: subject },
      timeoutMs: TIMEOUT_MS,
    });
    this.metrics?.counter('deadLetters').inc({ stream: origin });
    this.logger?.warn('events.dead_letter', { stream: origin, subject, sequence, reason });
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
      letters.push({
        sequence: message.sequence,
        origin: message.subject.split('.')[2] ?? '',
        subject: message.header(SUBJECT_HEADER) ?? '',
        reason: message.header(REASON_HEADER) ?? '',
        time: message.time,
        data: message.data,
      });
      if (letters.length >= limit) break;
    }
    return letters;
  }

  /**
   * Publishes a dead letter of the task or report queue on its subject again and removes it.
   * @throws DeadLetterNotFoundError  NOT_FOUND: no such letter, or not one of a queue
   */
  async redrive(sequence: number): Promise<void> {
    const stored = await this.connection.manager.streams
      .getMessage(STREAMS.deadLetters, { seq: sequence })
      .catch((error: unknown) => {
        if (apiCodeOf(error) === API_CODES.messageNotFound) return null;
        throw error;
      });
    const subject = stored?.header.get(SUBJECT_HEADER);
    if (!stored || !subject) throw new DeadLetterNotFoundError(sequence);
    const stream = REDRIVABLE.find((name) => subject.startsWith(subjectPrefixOf(name)));
    if (!stream) throw new DeadLetterNotFoundError(sequence);
    const data = stored.data;
    await this.publisher.publish({ stream, subject, data, id: `redrive:${sequence}`, timeoutMs: TIMEOUT_MS });
    await this.connection.manager.streams.deleteMessage(STREAMS.deadLetters, sequence);
  }
}

/** `FORGE_TASKS` has subjects `forge.tasks.…`. */
function subjectPrefixOf(stream: string): string {
  return `${stream.toLowerCase().replaceAll('_', '.')}.`;
}
