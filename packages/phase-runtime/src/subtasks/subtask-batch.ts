/** What the worker of a step waits for at most, relative to the longest subtask that it computed itself. */
const PATIENCE = 2;
const MIN_PATIENCE_MS = 100;

/** Why a subtask that somebody held is open again, or computed twice. */
export type Redelivery = 'silent' | 'returned' | 'failed' | 'slow';

/** Someone who computes a subtask. */
interface Lease {
  readonly index: number;
  readonly worker: string;
  readonly sinceMs: number;
  heardMs: number;
}

/** A subtask that nobody has answered. */
interface Unanswered {
  /** The worker of the step computes it. */
  isOwn: boolean;
  /** Computing it failed elsewhere: nobody else gets it. */
  isPrivate: boolean;
  /** Leases under which others compute it. */
  readonly leases: Set<number>;
}

/**
 * Who computes which subtask of a batch. The worker of the step takes from the front, others from the back. One that is
 * lost is open again, and a worker that has nothing else to do computes also what another one holds for too long: the
 * first answer counts. Nothing here decides what an answer is, so nothing of it can change a result.
 */
export class SubtaskBatch {
  private readonly unanswered = new Map<number, Unanswered>();
  private readonly leases = new Map<number, Lease>();
  private longestOwnMs = 0;
  private ownSince: { readonly index: number; readonly ms: number } | undefined;

  /**
   * @param indexes      the subtasks that are to be computed, and whether others may have them
   * @param nextLease    numbers leases: never one twice in a session
   * @param onRedelivery told about each subtask that has to be computed again
   */
  constructor(
    indexes: Iterable<readonly [index: number, isPrivate: boolean]>,
    private readonly nextLease: () => number,
    private readonly onRedelivery: (reason: Redelivery, worker: string) => void = () => undefined,
  ) {
    for (const [index, isPrivate] of indexes)
      this.unanswered.set(index, { isOwn: false, isPrivate, leases: new Set() });
  }

  /** Whether everything is answered. */
  get isDone(): boolean {
    return this.unanswered.size === 0;
  }

  /** Subtasks that others may have. */
  get open(): number {
    let open = 0;
    for (const one of this.unanswered.values()) if (isOpen(one) && !one.isPrivate) open++;
    return open;
  }

  /** Leases that are held. */
  get held(): number {
    return this.leases.size;
  }

  /** The next subtask for the worker of the step; undefined: wait, others compute what is left. */
  takeOwn(nowMs: number): number | undefined {
    const index = this.firstOpen() ?? this.overdue(nowMs);
    if (index === undefined) return undefined;
    (this.unanswered.get(index) as Unanswered).isOwn = true;
    this.ownSince = { index, ms: nowMs };
    return index;
  }

  /** A subtask for another worker; undefined when none is open. */
  grant(worker: string, nowMs: number): { readonly lease: number; readonly index: number } | undefined {
    let index: number | undefined;
    for (const [at, one] of this.unanswered) if (isOpen(one) && !one.isPrivate) index = at;
    if (index === undefined) return undefined;
    const lease = this.nextLease();
    this.leases.set(lease, { index, worker, sinceMs: nowMs, heardMs: nowMs });
    this.unanswered.get(index)?.leases.add(lease);
    return { lease, index };
  }

  /** A holder is still at it. @returns false when the lease is over */
  touch(lease: number, nowMs: number): boolean {
    const held = this.leases.get(lease);
    if (held) held.heardMs = nowMs;
    return held !== undefined;
  }

  /** An answer of a holder. @returns its subtask; undefined when the lease is over */
  answer(lease: number): number | undefined {
    const index = this.leases.get(lease)?.index;
    if (index !== undefined) this.settle(index);
    return index;
  }

  /** The worker of the step has computed a subtask. @returns whether it is the first answer */
  answerOwn(index: number, nowMs: number): boolean {
    if (this.ownSince?.index === index)
      this.longestOwnMs = Math.max(this.longestOwnMs, nowMs - this.ownSince.ms);
    const isFirst = this.unanswered.has(index);
    this.settle(index);
    return isFirst;
  }

  /** An answer turned out to be none: only the worker of the step computes the subtask. */
  reopen(index: number): void {
    this.unanswered.set(index, { isOwn: false, isPrivate: true, leases: new Set() });
    this.onRedelivery('failed', '');
  }

  /** A holder will not compute it. */
  giveBack(lease: number, reason: 'returned' | 'failed'): void {
    const held = this.leases.get(lease);
    if (!held) return;
    const one = this.unanswered.get(held.index);
    if (one && reason === 'failed') one.isPrivate = true;
    this.end(lease, reason);
  }

  /** Ends all leases, and gives nothing to others any more. */
  close(): void {
    this.leases.clear();
    for (const one of this.unanswered.values()) {
      one.isPrivate = true;
      one.leases.clear();
    }
  }

  /** Ends the leases of those who are silent. */
  expire(nowMs: number, silenceMs: number): void {
    for (const [lease, { heardMs }] of this.leases)
      if (nowMs - heardMs > silenceMs) this.end(lease, 'silent');
  }

  private end(lease: number, reason: Redelivery): void {
    const held = this.leases.get(lease);
    if (!held) return;
    this.leases.delete(lease);
    this.unanswered.get(held.index)?.leases.delete(lease);
    this.onRedelivery(reason, held.worker);
  }

  private settle(index: number): void {
    for (const lease of this.unanswered.get(index)?.leases ?? []) this.leases.delete(lease);
    this.unanswered.delete(index);
  }

  private firstOpen(): number | undefined {
    for (const [index, one] of this.unanswered) if (isOpen(one)) return index;
    return undefined;
  }

  /** What has been held longest, when that is too long. */
  private overdue(nowMs: number): number | undefined {
    const patienceMs = Math.max(MIN_PATIENCE_MS, PATIENCE * this.longestOwnMs);
    for (const { index, worker, sinceMs } of this.leases.values()) {
      if (this.unanswered.get(index)?.isOwn || nowMs - sinceMs < patienceMs) continue;
      this.onRedelivery('slow', worker);
      return index;
    }
    return undefined;
  }
}

function isOpen({ isOwn, leases }: Unanswered): boolean {
  return !isOwn && leases.size === 0;
}
