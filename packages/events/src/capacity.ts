import type { Logger } from '@agentforge/telemetry';
import type { KV } from '@nats-io/kv';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES } from './stream/publisher.js';
import { tailMessages } from './stream/read-messages.js';
import { BUCKETS } from './subjects.js';

/** What a worker says about the host that it runs on. */
export interface PoolAdvert {
  readonly pool: string;
  /** Name of the worker; workers of one host advertise the same pool. */
  readonly worker: string;
  readonly phase: string;
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  /** Memory of each accelerator. */
  readonly gpuMemoryBytes: number;
}

/** A step that waits for resources, as the replica says that was asked for them. */
export interface QueuedRequest {
  readonly id: string;
  readonly run: string;
  readonly project: string;
  readonly phase: string;
  readonly priority: number;
  readonly sinceMs: number;
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  readonly gpuMemoryBytes: number;
}

/** What was advertised, or taken back. Adverts go by themselves when nobody repeats them. */
export type CapacityChange =
  | { readonly kind: 'pool'; readonly key: string; readonly advert: PoolAdvert | undefined }
  | {
      readonly kind: 'queue';
      readonly key: string;
      readonly requests: readonly QueuedRequest[] | undefined;
    };

const PREFIX = `$KV.${BUCKETS.capacity}.`;

/** What there is to use, and who waits for it: adverts that must be repeated. */
export class CapacityBoard {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** Says what the host of a worker has. To be repeated well within the age of adverts. */
  async advertise(advert: PoolAdvert): Promise<void> {
    await this.bucket.put(poolKey(advert), JSON.stringify(advert));
  }

  /** A worker leaves. */
  async retract(advert: Pick<PoolAdvert, 'pool' | 'worker'>): Promise<void> {
    await this.bucket.delete(poolKey(advert));
  }

  /** Says what waits in a replica, the first ones first; as many as fit into a message. */
  async queue(replica: string, requests: readonly QueuedRequest[]): Promise<void> {
    const key = `queue.${tokenOf(replica)}`;
    if (requests.length === 0) return this.bucket.delete(key);
    let text = JSON.stringify(requests);
    for (let count = requests.length; text.length > MAX_MESSAGE_BYTES; ) {
      count = Math.floor(count / 2);
      text = JSON.stringify(requests.slice(0, count));
    }
    await this.bucket.put(key, text);
  }

  /** First what is advertised, then every change, without end. */
  async *watch(
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void } = {},
  ): AsyncGenerator<CapacityChange, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: `KV_${BUCKETS.capacity}`,
      filter: `${PREFIX}>`,
      startSequence: 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const message of messages) {
      const key = message.subject.slice(PREFIX.length);
      const isGone = message.header('KV-Operation') !== undefined;
      const value = isGone ? undefined : this.#parse(key, message.data);
      if (key.startsWith('pool.')) {
        const advert = isPoolAdvert(value) ? value : undefined;
        if (advert || isGone) yield { kind: 'pool', key, advert };
      } else if (key.startsWith('queue.')) {
        const requests = Array.isArray(value) ? value : undefined;
        if (requests || isGone) yield { kind: 'queue', key: key.slice('queue.'.length), requests };
      }
    }
  }

  #parse(key: string, data: Uint8Array): unknown {
    try {
      return JSON.parse(Buffer.from(data).toString('utf8'));
    } catch (error) {
      this.logger?.warn('events.handler_failed', { bucket: BUCKETS.capacity, name: key, error });
      return undefined;
    }
  }
}

/** A text as a token of a key: what cannot be part of one becomes "-". */
export const tokenOf = (text: string): string => text.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 100) || '-';

const poolKey = ({ pool, worker }: Pick<PoolAdvert, 'pool' | 'worker'>): string =>
  `pool.${tokenOf(pool)}.${tokenOf(worker)}`;

const AMOUNTS = ['cpu', 'memoryBytes', 'gpus', 'gpuMemoryBytes'] as const;

function isPoolAdvert(value: unknown): value is PoolAdvert {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  return (
    ['pool', 'worker', 'phase'].every((name) => typeof fields[name] === 'string') &&
    AMOUNTS.every((name) => Number.isFinite(fields[name]) && Number(fields[name]) >= 0)
  );
}
