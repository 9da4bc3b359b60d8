import type { Logger } from '@agentforge/telemetry';
import type { KV } from '@nats-io/kv';
import { MalformedMessageError, RevisionConflictError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { tailMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { BUCKETS } from './subjects.js';

/** The breaker of a phase as it is stored. What it holds is the engine's business. */
export interface BreakerEntry {
  readonly phase: string;
  readonly value: unknown;
  /** What a write names to show that it knows this one; 0 for none. */
  readonly revision: number;
}

const SUBJECT_PREFIX = `$KV.${BUCKETS.breakers}.`;

/** The circuit breakers that all replicas of the engine share: one entry for each phase, written by compare-and-set. */
export class BreakerStore {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** The entry of a phase; undefined when there is none. @throws MalformedMessageError INVALID_ARGUMENT */
  async get(phase: string): Promise<BreakerEntry | undefined> {
    const entry = await this.bucket.get(phase);
    if (entry?.operation !== 'PUT') return undefined;
    return { phase, value: parse(phase, entry.string()), revision: entry.revision };
  }

  /**
   * Replaces an entry.
   * @param revision  of the entry that was read; 0 when there was none
   * @returns the new revision
   * @throws RevisionConflictError  ABORTED: another replica wrote in between
   */
  async put(phase: string, value: unknown, revision: number): Promise<number> {
    try {
      return await this.bucket.put(phase, JSON.stringify(value), { previousSeq: revision });
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
      throw new RevisionConflictError(`breaker of ${phase}`, BigInt(revision), undefined);
    }
  }

  /** First every entry, then every new one, without end. */
  async *watch(
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void } = {},
  ): AsyncGenerator<BreakerEntry, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: `KV_${BUCKETS.breakers}`,
      filter: `${SUBJECT_PREFIX}>`,
      startSequence: 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const { subject, data, sequence, header } of messages) {
      if (header('KV-Operation') !== undefined) continue;
      const phase = subject.slice(SUBJECT_PREFIX.length);
      try {
        yield { phase, value: parse(phase, Buffer.from(data).toString('utf8')), revision: sequence };
      } catch (error) {
        this.logger?.warn('events.handler_failed', { bucket: BUCKETS.breakers, phase, error });
      }
    }
  }
}

function parse(phase: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MalformedMessageError(`breaker of ${phase}`, 'unreadable', error);
  }
}
