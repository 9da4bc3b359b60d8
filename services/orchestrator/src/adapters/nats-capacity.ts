import { hostname } from 'node:os';
import {
  type CapacityChange,
  type Events,
  type Ledger,
  type LedgerEntry,
  type PoolAdvert,
  type QueuedRequest,
  type QuotaLimits,
  tokenOf,
} from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { type AdvertisedPool, Capacity } from '../ports/capacity.port.js';

/** Age at which an advert of a worker counts no more; three of them are missed by then. */
const POOL_AGE_MS = 15_000;
/** Age at which another replica's queue counts no more, so that the requests of a dead one hold nothing up. */
const QUEUE_AGE_MS = 5_000;

interface Aged<T> {
  readonly value: T;
  readonly seenMs: number;
}

/** Capacity behind key-value buckets, kept in memory by watching them. */
export class NatsCapacity extends Capacity {
  readonly #adverts = new Map<string, Aged<PoolAdvert>>();
  readonly #queues = new Map<string, Aged<readonly QueuedRequest[]>>();
  readonly #limits = new Map<string, QuotaLimits>();
  readonly #listeners: (() => void)[] = [];
  #ledger: Ledger = { entries: [], revision: 0 };

  private constructor(
    private readonly events: Events,
    private readonly replica: string,
  ) {
    super();
  }

  /** Resolves once everything that is there is known. @param replica  name of this one, unique among them */
  static async watch(
    events: Events,
    logger: Logger,
    replica: string,
    signal: AbortSignal,
  ): Promise<NatsCapacity> {
    const capacity = new NatsCapacity(events, replica || `${hostname()}-${process.pid}`);
    const follow = (what: string, start: (onCaughtUp: () => void) => Promise<void>) =>
      new Promise<void>((resolve, reject) => {
        start(resolve).catch((error: unknown) => {
          if (!signal.aborted) logger.error('events.handler_failed', { operation: `watch ${what}`, error });
          reject(error);
        });
      });
    await capacity.readLedger();
    void follow('leases', () => capacity.#followLedger(signal)).catch(() => undefined);
    await Promise.all([
      follow('capacity', async (onCaughtUp) => {
        for await (const change of events.capacity.watch({ signal, onCaughtUp })) capacity.#take(change);
      }),
      follow('quotas', async (onCaughtUp) => {
        for await (const { project, limits } of events.quotas.watch({ signal, onCaughtUp })) {
          if (Object.values(limits).some((limit) => limit > 0)) capacity.#limits.set(project, limits);
          else capacity.#limits.delete(project);
          capacity.#changed();
        }
      }),
    ]);
    return capacity;
  }

  pools(): readonly AdvertisedPool[] {
    const now = performance.now();
    const pools = new Map<string, AdvertisedPool>();
    for (const [key, { value, seenMs }] of this.#adverts) {
      const ageMs = now - seenMs;
      if (ageMs > POOL_AGE_MS) this.#adverts.delete(key);
      else pools.set(value.pool, merged(pools.get(value.pool), value, Date.now() - ageMs));
    }
    return [...pools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  limitsOf(project: string): QuotaLimits | undefined {
    return this.#limits.get(project);
  }

  limited(): Iterable<readonly [string, QuotaLimits]> {
    return this.#limits;
  }

  othersRequests(): readonly QueuedRequest[] {
    const now = performance.now();
    const own = tokenOf(this.replica);
    return [...this.#queues].flatMap(([replica, { value, seenMs }]) =>
      replica === own || now - seenMs > QUEUE_AGE_MS ? [] : value,
    );
  }

  publishRequests(requests: readonly QueuedRequest[]): Promise<void> {
    return this.events.capacity.queue(this.replica, requests);
  }

  ledger(): Ledger {
    return this.#ledger;
  }

  async readLedger(): Promise<Ledger> {
    this.#newer(await this.events.leases.read());
    return this.#ledger;
  }

  async writeLedger(entries: readonly LedgerEntry[], revision: number): Promise<void> {
    this.#newer({ entries, revision: await this.events.leases.write(entries, revision) });
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async #followLedger(signal: AbortSignal): Promise<void> {
    for await (const ledger of this.events.leases.watch({ signal }))
      if (ledger.revision > this.#ledger.revision) {
        this.#newer(ledger);
        this.#changed();
      }
  }

  #newer(ledger: Ledger): void {
    if (ledger.revision >= this.#ledger.revision) this.#ledger = ledger;
  }

  #take(change: CapacityChange): void {
    const seenMs = performance.now();
    if (change.kind === 'pool') {
      const isKnown = this.#adverts.has(change.key);
      if (change.advert) this.#adverts.set(change.key, { value: change.advert, seenMs });
      else this.#adverts.delete(change.key);
      // a worker that says the same again changes nothing
      if (change.advert && isKnown) return;
    } else if (change.requests) this.#queues.set(change.key, { value: change.requests, seenMs });
    else this.#queues.delete(change.key);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Workers of one host say the same; where their settings differ, the smaller amount counts. */
function merged(known: AdvertisedPool | undefined, advert: PoolAdvert, updateMs: number): AdvertisedPool {
  const { pool: name, phase, cpu, memoryBytes, gpus, gpuMemoryBytes } = advert;
  if (known === undefined)
    return { name, total: { cpu, memoryBytes, gpus, gpuMemoryBytes }, phases: new Set([phase]), updateMs };
  const { total } = known;
  return {
    name,
    total: {
      cpu: Math.min(total.cpu, cpu),
      memoryBytes: Math.min(total.memoryBytes, memoryBytes),
      gpus: Math.min(total.gpus, gpus),
      gpuMemoryBytes: Math.min(total.gpuMemoryBytes, gpuMemoryBytes),
    },
    phases: new Set([...known.phases, phase]),
    updateMs: Math.max(known.updateMs, updateMs),
  };
}
