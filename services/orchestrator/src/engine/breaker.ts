import { setTimeout as delay } from 'node:timers/promises';
import { FailureClass, type RunEvent } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { RELEASED_REASON, type RunBatch, type RunRecord, stepOf } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import {
  afterOutcome,
  type Breaker,
  type BreakerPolicy,
  type BreakerStateName,
  breakerState,
  mayPass,
  NEW_BREAKER,
  type Outcome,
  wantsProbe,
  withProbe,
} from '../domain/breaker.js';
import { BreakerBoard } from '../ports/breaker-board.port.js';
import type { BreakerAnswer } from './admission/breaker.js';

/** A breaker with how much of the log is in it: each event counts once, whichever replica is first. */
interface Stored {
  readonly breaker: Breaker;
  /** Revision of the last batch that changed it. */
  readonly applied: string;
}

/** Where breakers are kept, with compare-and-set. */
export interface BreakerEntries {
  get(phase: string): Promise<{ readonly value: unknown; readonly revision: number } | undefined>;
  /** @throws ABORTED when the revision is not the stored one */
  put(phase: string, value: unknown, revision: number): Promise<number>;
  watch(options: {
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<{ readonly phase: string; readonly value: unknown; readonly revision: number }>;
}

interface Entry extends Stored {
  readonly revision: number;
}

interface Pending {
  readonly revision: bigint;
  readonly outcome: Outcome;
}

const NOTHING: Entry = { breaker: NEW_BREAKER, applied: '0', revision: 0 };
const MAX_CONFLICTS = 20;
const RETRY_MS = 500;
/** Outcomes of a phase that are kept while the store is away; the log is away with it, so there are few. */
const MAX_PENDING = 10_000;

/**
 * The circuit breakers of all phases in one replica: fed with every batch of the log, kept in a bucket that all
 * replicas share, and read from memory. Every replica feeds every event; the revision in an entry says which ones it
 * has, so that an event counts once, and none is lost with a replica.
 */
export class Breakers extends BreakerBoard {
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Map<string, Pending[]>();
  /** The newest sign of work of each phase that changed nothing here; it does when a failure before it comes late. */
  readonly #lastSuccess = new Map<string, Pending>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #claims = new Set<string>();
  readonly #stop = new AbortController();
  #following: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: BreakerEntries,
    private readonly policy: BreakerPolicy,
    private readonly logger: Logger,
    /** The clock of the engine: what opened a breaker has its time from there. */
    private readonly now: () => number,
  ) {
    super();
  }

  /** Resolves when every breaker that is stored is known. */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#following = this.#follow(resolve).catch(reject);
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    await Promise.allSettled(this.#writing.values());
  }

  /** Every breaker that something happened to, by phase. */
  list(): readonly { readonly phase: string; readonly breaker: Breaker; readonly state: BreakerStateName }[] {
    const nowMs = this.now();
    return [...this.#entries]
      .map(([phase, { breaker }]) => ({ phase, breaker, state: breakerState(breaker, nowMs) }))
      .sort((a, b) => (a.phase < b.phase ? -1 : 1));
  }

  answerOf(phase: string, run: string, stepId: string): BreakerAnswer | undefined {
    const { breaker } = this.#entryOf(phase);
    if (!breaker.isOpen || this.policy.failures === 0) return undefined;
    const nowMs = this.now();
    if (mayPass(breaker, nameOf(run, stepId), nowMs)) return { isOpen: false };
    const asksProbe = wantsProbe(breaker, nowMs);
    const retryMs = Math.max(breaker.retryMs, breaker.probe?.untilMs ?? 0);
    return { isOpen: true, ...(asksProbe ? { asksProbe } : { retryMs }) };
  }

  async claim(phase: string, run: string, stepId: string): Promise<boolean> {
    if (this.#claims.has(phase)) return false;
    this.#claims.add(phase);
    const step = nameOf(run, stepId);
    try {
      await this.#change(phase, ({ breaker, applied }) => {
        const probed = withProbe(breaker, step, this.now(), this.policy);
        return probed && { breaker: probed, applied };
      });
      return mayPass(this.#entryOf(phase).breaker, step, this.now());
    } catch (error) {
      this.logger.debug('events.handler_failed', { phase, operation: 'claim probe', error });
      return false;
    } finally {
      this.#claims.delete(phase);
    }
  }

  isConcerned({ events }: Pick<RunBatch, 'events'>): boolean {
    return events.some(({ payload: { case: kind } }) => kind !== undefined && OUTCOMES.has(kind));
  }

  /** Takes in what a batch of the log says about phases. @param run  the run before or after the batch */
  observe({ events, revision }: Pick<RunBatch, 'events' | 'revision'>, run: RunRecord): void {
    const touched = new Set<string>();
    for (const event of events) {
      const found = outcomeOf(event, run);
      if (found === undefined) continue;
      const { phase, outcome } = found;
      const pending = { revision, outcome };
      if (outcome.kind === 'success') this.#lastSuccess.set(phase, pending);
      const isNew = revision > BigInt(this.#entryOf(phase).applied);
      const queue = this.#pending.get(phase) ?? [];
      const changes =
        afterOutcome(this.#entryOf(phase).breaker, outcome, this.policy) !== this.#entryOf(phase).breaker;
      if (!isNew || (!changes && queue.length === 0)) continue;
      if (queue.length < MAX_PENDING) queue.push(pending);
      this.#pending.set(phase, queue);
      touched.add(phase);
    }
    for (const phase of touched) this.#write(phase);
  }

  /** Writes what is pending, one write at a time for each phase, until nothing is left. */
  #write(phase: string): void {
    if (this.#writing.has(phase)) return;
    const writing = this.#writeAll(phase).finally(() => this.#writing.delete(phase));
    this.#writing.set(phase, writing);
  }

  async #writeAll(phase: string): Promise<void> {
    // What one batch says is complete before the first write, so that its revision stands for all of it.
    await Promise.resolve();
    while (!this.#stop.signal.aborted) {
      const queue = this.#pending.get(phase) ?? [];
      if (queue.length === 0) return;
      const count = queue.length;
      try {
        await this.#change(phase, (stored) => this.#applied(stored, queue.slice(0, count)));
        queue.splice(0, count);
      } catch (error) {
        this.logger.warn('events.handler_failed', { phase, operation: 'write breaker', error });
        await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }

  #applied({ breaker, applied }: Stored, pending: readonly Pending[]): Stored | undefined {
    const fresh = pending.filter(({ revision }) => revision > BigInt(applied));
    const next = fresh.reduce((state, { outcome }) => afterOutcome(state, outcome, this.policy), breaker);
    const last = fresh.at(-1);
    return next === breaker || last === undefined
      ? undefined
      : { breaker: next, applied: String(last.revision) };
  }

  /** Replaces an entry by compare-and-set. @param change  what it becomes; undefined: it stays as it is */
  async #change(phase: string, change: (stored: Stored) => Stored | undefined): Promise<void> {
    for (let i = 0; i < MAX_CONFLICTS; i++) {
      const entry = this.#entryOf(phase);
      const next = change(entry);
      if (next === undefined) return;
      try {
        this.#take(phase, next, await this.store.put(phase, next, entry.revision));
        return;
      } catch (thrown) {
        if (AppError.from(thrown).code !== 'ABORTED') throw thrown;
        const stored = await this.store.get(phase);
        if (stored) this.#take(phase, stored.value, stored.revision);
      }
    }
    throw new AppError('ABORTED', `the breaker of "${phase}" changes faster than it can be written`);
  }

  #entryOf(phase: string): Entry {
    return this.#entries.get(phase) ?? NOTHING;
  }

  #take(phase: string, value: unknown, revision: number): void {
    const before = this.#entryOf(phase);
    if (revision <= before.revision) return;
    if (!isStored(value)) {
      this.logger.warn('events.handler_failed', { phase, operation: 'read breaker' });
      this.#entries.set(phase, { ...before, revision });
      return;
    }
    this.#entries.set(phase, { ...value, revision });
    const { breaker } = value;
    if (breaker.isOpen !== before.breaker.isOpen || breaker.openedMs !== before.breaker.openedMs)
      this.logger.warn('breaker.changed', {
        phase,
        state: breakerState(breaker, this.now()),
        count: breaker.failures,
        reason: breaker.lastFailure?.reason ?? '',
      });
    const success = this.#lastSuccess.get(phase);
    const isMissed =
      success !== undefined && success.revision > BigInt(value.applied) && breaker.failures > 0;
    if (!isMissed || breaker.isOpen || this.#pending.get(phase)?.length) return;
    this.#pending.set(phase, [success]);
    this.#write(phase);
  }

  async #follow(onCaughtUp: () => void): Promise<void> {
    const { signal } = this.#stop;
    for await (const { phase, value, revision } of this.store.watch({ signal, onCaughtUp }))
      this.#take(phase, value, revision);
  }
}

const OUTCOMES: ReadonlySet<string> = new Set([
  'stepAttemptFailed',
  'stepReported',
  'stepCheckpointed',
  'stepCancelled',
]);

/** What an event says about the workers of a phase. A checkpoint is a sign of work, so that long attempts count, too. */
function outcomeOf(
  { payload, time }: RunEvent,
  run: RunRecord,
): { readonly phase: string; readonly outcome: Outcome } | undefined {
  if (
    payload.case !== 'stepAttemptFailed' &&
    payload.case !== 'stepReported' &&
    payload.case !== 'stepCheckpointed' &&
    payload.case !== 'stepCancelled'
  )
    return undefined;
  const { stepId } = payload.value;
  const phase = stepOf(run, stepId)?.spec.phase;
  if (phase === undefined) return undefined;
  const base = { step: nameOf(run.name, stepId), atMs: time ? timestampMs(time) : 0 };
  if (payload.case === 'stepCancelled') return { phase, outcome: { ...base, kind: 'neutral' } };
  if (payload.case !== 'stepAttemptFailed') return { phase, outcome: { ...base, kind: 'success' } };
  const { code = '', message = '', reason = '', failureClass } = payload.value.failure ?? {};
  const isTransient =
    failureClass === undefined ||
    failureClass === FailureClass.TRANSIENT ||
    failureClass === FailureClass.UNSPECIFIED;
  if (!isTransient || NOT_OF_WORKERS.has(reason)) return { phase, outcome: { ...base, kind: 'neutral' } };
  return { phase, outcome: { ...base, kind: 'failure', failure: { code, message, reason } } };
}

/** Passing failures that say nothing about the workers of a phase. */
const NOT_OF_WORKERS: ReadonlySet<string> = new Set([RELEASED_REASON, 'DEAD_LETTERED']);

const nameOf = (run: string, stepId: string): string => `${run}/steps/${stepId}`;

function isStored(value: unknown): value is Stored {
  if (typeof value !== 'object' || value === null) return false;
  const { breaker, applied } = value as Partial<Record<keyof Stored, unknown>>;
  if (typeof applied !== 'string' || !/^\d{1,19}$/.test(applied)) return false;
  if (typeof breaker !== 'object' || breaker === null) return false;
  const { isOpen, failures, successes, openedMs, retryMs } = breaker as Partial<
    Record<keyof Breaker, unknown>
  >;
  return typeof isOpen === 'boolean' && [failures, successes, openedMs, retryMs].every(Number.isFinite);
}
