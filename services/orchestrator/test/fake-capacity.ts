import { AppError } from '@agentforge/errors';
import type { Ledger, LedgerEntry, QueuedRequest, QuotaLimits } from '@agentforge/events';
import { type AdvertisedPool, Capacity } from '../src/ports/capacity.port.js';

/** What the replicas of a test share. */
export class SharedCapacity {
  pools: AdvertisedPool[] = [];
  readonly limits = new Map<string, QuotaLimits>();
  readonly queues = new Map<string, readonly QueuedRequest[]>();
  readonly views: FakeCapacity[] = [];
  ledger: Ledger = { entries: [], revision: 0 };
  /** Every ledger that was ever written. */
  readonly history: Ledger[] = [];

  replica(name: string): FakeCapacity {
    const view = new FakeCapacity(this, name);
    this.views.push(view);
    return view;
  }
}

/** One replica's view: it sees writes of others only when it reads, or is told of them. */
export class FakeCapacity extends Capacity {
  #seen: Ledger = { entries: [], revision: 0 };
  readonly #listeners: (() => void)[] = [];

  constructor(
    private readonly shared: SharedCapacity,
    private readonly name: string,
  ) {
    super();
  }

  pools(): readonly AdvertisedPool[] {
    return this.shared.pools;
  }
  limitsOf(project: string): QuotaLimits | undefined {
    return this.shared.limits.get(project);
  }
  limited(): Iterable<readonly [string, QuotaLimits]> {
    return this.shared.limits;
  }
  othersRequests(): readonly QueuedRequest[] {
    return [...this.shared.queues].flatMap(([name, requests]) => (name === this.name ? [] : requests));
  }
  async publishRequests(requests: readonly QueuedRequest[]): Promise<void> {
    this.shared.queues.set(this.name, requests);
  }
  ledger(): Ledger {
    return this.#seen;
  }
  async readLedger(): Promise<Ledger> {
    this.#seen = this.shared.ledger;
    return this.#seen;
  }
  async writeLedger(entries: readonly LedgerEntry[], revision: number): Promise<void> {
    await Promise.resolve();
    if (revision !== this.shared.ledger.revision) throw new AppError('ABORTED', 'somebody was faster');
    this.shared.ledger = { entries, revision: revision + 1 };
    this.shared.history.push(this.shared.ledger);
    this.#seen = this.shared.ledger;
    for (const view of this.shared.views) if (view !== this) view.tell();
  }
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  /** Something changed elsewhere. */
  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
