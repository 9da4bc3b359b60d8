import { fractionOf } from '../domain/retry-policy.js';

/** Silence after which a replica is not counted on, in ms: three of its beats. */
export const REPLICA_SILENCE_MS = 3_000;

/** Most replicas that are kept in mind; names beyond it are not replicas of a sane installation. */
const MAX_REPLICAS = 1_000;

/**
 * Which replica looks after a run that another one drove. All replicas that hear the same of each other agree, without
 * asking: whoever committed last goes on while it is heard; when it is silent, the preferred one of the others takes
 * over (rendezvous hashing: Thaler & Ravishankar 1998), and the rest only after twice the time. Being wrong costs work
 * done twice, never a wrong run: commits are compared and set.
 */
export class Affinity {
  readonly #heardMs = new Map<string, number>();

  constructor(
    /** Name of this replica, as it writes it into events. */
    readonly self: string,
    private readonly monotonicMs: () => number = () => performance.now(),
  ) {}

  /** A replica said that it is there. */
  hear(replica: string): void {
    this.#heardMs.delete(replica);
    if (this.#heardMs.size >= MAX_REPLICAS) this.#forgetOldest();
    this.#heardMs.set(replica, this.monotonicMs());
  }

  /** A replica said that it leaves. */
  leave(replica: string): void {
    this.#heardMs.delete(replica);
  }

  /** Whether a replica was heard lately; this one always is. */
  isAlive(replica: string): boolean {
    if (replica === this.self) return true;
    const heardMs = this.#heardMs.get(replica);
    return heardMs !== undefined && this.monotonicMs() - heardMs <= REPLICA_SILENCE_MS;
  }

  /** Whether this replica is the one to look after a run of which nobody does. */
  isPreferred(run: string): boolean {
    const own = weight(run, this.self);
    for (const replica of this.#heardMs.keys())
      if (this.isAlive(replica) && weight(run, replica) > own) return false;
    return true;
  }

  /**
   * Whether this replica is to look after a run.
   * @param owner       who committed last; empty when that is not known
   * @param silentMs    since when nothing was committed
   * @param takeoverMs  how long the owner may be silent
   */
  mayTakeOver(run: string, owner: string, silentMs: number, takeoverMs: number): boolean {
    if (silentMs <= takeoverMs) return false;
    if (owner === this.self) return true;
    if (this.isAlive(owner)) return false;
    return silentMs > 2 * takeoverMs || this.isPreferred(run);
  }

  #forgetOldest(): void {
    const [oldest] = this.#heardMs.keys();
    if (oldest !== undefined) this.#heardMs.delete(oldest);
  }
}

/** Highest random weight; equal ones, if there ever are, let two replicas look after a run. */
const weight = (run: string, replica: string): number => fractionOf(`${replica}\n${run}`);
