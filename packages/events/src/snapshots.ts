import { createHash, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { AppError } from '@agentforge/errors';
import type { Logger } from '@agentforge/telemetry';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { RunLog } from './run-log.js';
import { readServerTime } from './server-clock.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES } from './stream/publisher.js';
import { readMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { BUCKETS } from './subjects.js';

/** Whose folded history it is: what the engine, and what the front door, would otherwise replay the log for. */
export type SnapshotName = 'engine' | 'history';

/** What a snapshot says besides its entries. */
export interface SnapshotHead {
  /** Sequence of the log up to which it goes. */
  readonly upTo: bigint;
  /** Runs that had not ended there, or are too large for an entry: their logs are read. */
  readonly openRuns: readonly string[];
}

/** A snapshot as it is kept. */
export interface Snapshot extends SnapshotHead {
  readonly chunks: readonly Chunk[];
  readonly time: Date;
  /** Revision of the bucket's entry, for whoever replaces it. */
  readonly revision: number;
}

/** A part of a snapshot; never changed. */
interface Chunk {
  readonly key: string;
  readonly sha256: string;
  readonly entries: number;
}

/** How the head is written. */
interface StoredHead {
  readonly format: number;
  readonly content: number;
  readonly logCreated: string;
  readonly upTo: string;
  readonly openRuns: readonly string[];
  readonly chunks: readonly Chunk[];
  readonly time: string;
}

/** Format of heads and chunks; another one is not read. */
const FORMAT = 1;
/** Most entries of a chunk: some hundred kilobytes. */
export const CHUNK_ENTRIES = 4_000;
const zip = promisify(gzip);
const unzip = promisify(gunzip);
/** Chunks that no head names go when they are older than this: their writer is gone, not slow. */
const ORPHAN_AGE_MS = 600_000;

/** ABORTED: another replica replaced the snapshot first. */
export class SnapshotConflictError extends AppError {
  constructor(name: string) {
    super('ABORTED', `another replica wrote the ${name} snapshot first`, { reason: 'SNAPSHOT_CONFLICT' });
  }
}

/**
 * One kind of snapshot in the bucket: a head that is replaced by compare-and-set, and chunks of entries that are
 * written once. A snapshot only saves time: one that is absent, damaged, of another format or of another log is as
 * good as none, and the log is replayed.
 */
export class SnapshotStore {
  #hasSwept = false;

  /** @param content  version of what the entries say; a snapshot of another version is not read */
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly log: RunLog,
    private readonly logger: Logger | undefined,
    readonly name: SnapshotName,
    private readonly content: number,
  ) {}

  /** The snapshot, when there is one that can be used. */
  async load(): Promise<Snapshot | undefined> {
    return (await this.#read()).snapshot;
  }

  /** Entries of a snapshot, chunk by chunk. @throws DATA_LOSS: a chunk is gone or damaged */
  async *entries(snapshot: Snapshot): AsyncGenerator<readonly unknown[], void, undefined> {
    for (const chunk of snapshot.chunks) yield await this.#entriesOf(chunk);
  }

  /**
   * Replaces a snapshot by one that goes further.
   * @param base   what it is built on; undefined replaces whatever is there, unless that can be used and goes further
   * @param added  entries besides those of the base
   * @throws SnapshotConflictError  ABORTED: the snapshot that is there is another one than the base
   */
  async save(head: SnapshotHead, added: readonly unknown[], base: Snapshot | undefined): Promise<Snapshot> {
    const known = await this.#read();
    const isBase = known.snapshot === undefined ? base === undefined : known.revision === base?.revision;
    if (!isBase) throw new SnapshotConflictError(this.name);
    const kept = [...(base?.chunks ?? [])];
    const last = kept.at(-1);
    const isOpen = added.length > 0 && last !== undefined && last.entries + added.length <= CHUNK_ENTRIES;
    const entries = isOpen ? [...(await this.#entriesOf(last)), ...added] : added;
    if (isOpen) kept.pop();
    const written: Chunk[] = [];
    const { created } = await this.log.extent();
    let saved: Snapshot;
    try {
      for (let i = 0; i < entries.length; i += CHUNK_ENTRIES)
        written.push(...(await this.#write(entries.slice(i, i + CHUNK_ENTRIES))));
      const stored: StoredHead = {
        format: FORMAT,
        content: this.content,
        logCreated: created,
        upTo: String(head.upTo),
        openRuns: head.openRuns,
        chunks: [...kept, ...written],
        time: new Date().toISOString(),
      };
      const revision = await this.#replace(await zip(JSON.stringify(stored)), known.revision);
      saved = { ...head, chunks: stored.chunks, time: new Date(stored.time), revision };
    } catch (error) {
      await this.#drop(written).catch(() => undefined);
      throw error;
    }
    try {
      if (isOpen) await this.#drop([last]);
      await this.#sweep(saved.chunks);
    } catch (error) {
      // The snapshot is whole; what is left over takes room until another process sweeps.
      this.logger?.warn('snapshot.failed', { operation: 'tidy up', error });
    }
    return saved;
  }

  async #read(): Promise<{ readonly revision: number; readonly snapshot?: Snapshot }> {
    const entry = await this.bucket.get(this.#headKey);
    if (entry?.operation !== 'PUT') return { revision: entry?.revision ?? 0 };
    const { revision } = entry;
    try {
      const stored = JSON.parse(String(await unzip(entry.value))) as StoredHead;
      const { format, content, chunks, openRuns } = stored;
      if (format !== FORMAT || content !== this.content) return { revision };
      const { created, lastSequence } = await this.log.extent();
      const upTo = BigInt(stored.upTo);
      if (stored.logCreated !== created || upTo > lastSequence) return { revision };
      return { revision, snapshot: { upTo, openRuns, chunks, time: new Date(stored.time), revision } };
    } catch (error) {
      if (error instanceof JetStreamApiError) throw error;
      this.logger?.warn('snapshot.failed', { operation: this.name, error });
      return { revision };
    }
  }

  async #replace(data: Uint8Array, revision: number): Promise<number> {
    if (data.length > MAX_MESSAGE_BYTES)
      throw new AppError('RESOURCE_EXHAUSTED', `the ${this.name} snapshot has too many runs that go on`);
    try {
      return revision === 0
        ? await this.bucket.create(this.#headKey, data)
        : await this.bucket.update(this.#headKey, data, revision);
    } catch (error) {
      throw apiCodeOf(error) === API_CODES.wrongLastSequence ? new SnapshotConflictError(this.name) : error;
    }
  }

  /** One chunk, or several when their entries are large. */
  async #write(entries: readonly unknown[]): Promise<Chunk[]> {
    const data = await zip(JSON.stringify(entries), { level: 1 });
    if (data.length > MAX_MESSAGE_BYTES) {
      const half = Math.ceil(entries.length / 2);
      if (entries.length === 1)
        throw new AppError('RESOURCE_EXHAUSTED', `an entry of the ${this.name} snapshot is too large`);
      return [...(await this.#write(entries.slice(0, half))), ...(await this.#write(entries.slice(half)))];
    }
    const key = `${this.#chunkPrefix}${Date.now()}-${randomBytes(6).toString('hex')}`;
    await this.bucket.put(key, data);
    return [{ key, sha256: digestOf(data), entries: entries.length }];
  }

  async #entriesOf({ key, sha256 }: Chunk): Promise<readonly unknown[]> {
    const entry = await this.bucket.get(key);
    if (entry?.operation !== 'PUT' || digestOf(entry.value) !== sha256)
      throw new AppError('DATA_LOSS', `chunk ${key} of the ${this.name} snapshot is gone or damaged`, {
        reason: 'SNAPSHOT_DAMAGED',
      });
    return JSON.parse(String(await unzip(entry.value))) as unknown[];
  }

  /** Removes messages for good: a key-value delete would leave a marker for each key. */
  async #drop(chunks: readonly { readonly key: string }[]): Promise<void> {
    const { streams } = this.connection.manager;
    for (const { key } of chunks)
      await streams.purge(`KV_${BUCKETS.snapshots}`, { filter: `$KV.${BUCKETS.snapshots}.${key}` });
  }

  /** Removes, once per process, what a writer left that was killed between a chunk and its head. */
  async #sweep(used: readonly Chunk[]): Promise<void> {
    if (this.#hasSwept) return;
    this.#hasSwept = true;
    const names = new Set(used.map(({ key }) => key));
    const orphans: { key: string }[] = [];
    const { serverMs } = await readServerTime(this.connection);
    const subjectPrefix = `$KV.${BUCKETS.snapshots}.`;
    // Not the bucket's own list of keys: it never ends when another replica removes one meanwhile.
    for await (const { subject, time } of readMessages(this.connection, {
      stream: `KV_${BUCKETS.snapshots}`,
      filter: `${subjectPrefix}${this.#chunkPrefix}*`,
      startSequence: 1,
      headersOnly: true,
    })) {
      const key = subject.slice(subjectPrefix.length);
      if (!names.has(key) && serverMs - time.getTime() > ORPHAN_AGE_MS) orphans.push({ key });
    }
    await this.#drop(orphans);
  }

  get #headKey(): string {
    return `${this.name}.head`;
  }

  get #chunkPrefix(): string {
    return `${this.name}.chunk.`;
  }
}

function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
