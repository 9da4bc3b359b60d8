import type { Ledger, LedgerEntry, QueuedRequest, QuotaLimits } from '@agentforge/events';
import type { PoolFacts } from '../scheduling/domain/plan.js';

/** A pool as its workers advertise it. */
export interface AdvertisedPool extends PoolFacts {
  /** When one of them last did, ms since the epoch. */
  readonly updateMs: number;
}

/**
 * What leases are taken from and where they are written: pools, limits of projects, requests of other replicas, the
 * ledger. All but the ledger's methods answers from memory, kept up to date behind the scenes.
 */
export abstract class Capacity {
  /** The pools that workers advertise now, by name. */
  abstract pools(): readonly AdvertisedPool[];
  /** The limits of a project; undefined when nobody limited it. */
  abstract limitsOf(project: string): QuotaLimits | undefined;
  /** Every project that somebody limited. */
  abstract limited(): Iterable<readonly [project: string, limits: QuotaLimits]>;
  /** What waits in other replicas. */
  abstract othersRequests(): readonly QueuedRequest[];
  /** Tells other replicas what waits in this one. */
  abstract publishRequests(requests: readonly QueuedRequest[]): Promise<void>;
  /** The newest ledger that was seen. */
  abstract ledger(): Ledger;
  /** Reads the ledger. @throws UNAVAILABLE */
  abstract readLedger(): Promise<Ledger>;
  /** Replaces the ledger. @throws ABORTED when it is not at that revision any more, UNAVAILABLE */
  abstract writeLedger(entries: readonly LedgerEntry[], revision: number): Promise<void>;
  /** Calls after every change of any of these. */
  abstract onChange(listener: () => void): void;
}
