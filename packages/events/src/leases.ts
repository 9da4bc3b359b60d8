import type { Logger } from '@agentforge/telemetry';
import type { KV } from '@nats-io/kv';
import { MessageTooLargeError, RevisionConflictError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES } from './stream/publisher.js';
import { tailMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { BUCKETS } from './subjects.js';

/** A right to use resources, or a place in a project, as the ledger keeps it. */
export interface LedgerEntry {
  /** The attempt's. */
  readonly id: string;
  readonly run: string;
  readonly project: string;
  /** Empty for a place in the project alone. */
  readonly pool: string;
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  readonly gpuMemoryBytes: number;
  readonly gpuIndices: readonly number[];
  /** The replica that granted or last adopted it. */
  readonly holder: string;
  /** When it ends unless it is renewed, ms since the epoch. */
  readonly expiresMs: number;
}

/** All leases, at one revision. */
export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  /** 0 before the first write. */
  readonly revision: number;
}

const KEY = 'ledger';

/** Every lease in one entry, so that a batch of grants over all pools and projects is one compare-and-set. */
export class LeaseLedger {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** The ledger as it stands. One that cannot be read counts as empty and is logged: leases in use are renewed into it. */
  async read(): Promise<Ledger> {
    const entry = await this.bucket.get(KEY);
    if (entry === null) return { entries: [], revision: 0 };
    return { entries: this.#parse(entry.value), revision: entry.revision };
  }

  /**
   * Replaces the ledger.
   * @returns the new revision
   * @throws RevisionConflictError ABORTED: it is not at that revision any more
   * @throws MessageTooLargeError  RESOURCE_EXHAUSTED: more leases than fit, some thousands
   */
  async write(entries: readonly LedgerEntry[], revision: number): Promise<number> {
    const data = Buffer.from(JSON.stringify({ version: 1, entries }));
    if (data.length > MAX_MESSAGE_BYTES)
      throw new MessageTooLargeError('the ledger of leases', data.length, MAX_MESSAGE_BYTES);
    try {
      return revision === 0
        ? await this.bucket.create(KEY, data)
        : await this.bucket.update(KEY, data, revision);
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
      throw new RevisionConflictError('leases', BigInt(revision), undefined);
    }
  }

  /** The ledger as it stands and after every write, without end. */
  async *watch(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Ledger, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: `KV_${BUCKETS.leases}`,
      filter: `$KV.${BUCKETS.leases}.${KEY}`,
      startSequence: 1,
      signal: options.signal,
      logger: this.logger,
    });
    for await (const { data, sequence } of messages) yield { entries: this.#parse(data), revision: sequence };
  }

  #parse(data: Uint8Array): readonly LedgerEntry[] {
    try {
      const { version, entries } = JSON.parse(Buffer.from(data).toString('utf8'));
      if (version !== 1 || !Array.isArray(entries)) throw new Error(`version ${version} is unknown`);
      return entries;
    } catch (error) {
      this.logger?.error('events.handler_failed', { bucket: BUCKETS.leases, operation: 'read', error });
      return [];
    }
  }
}
