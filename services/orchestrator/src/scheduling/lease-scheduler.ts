import type { WaitKind } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import {
  type Ledger,
  type LedgerEntry,
  openAttempt,
  type RunRecord,
  type StepRecord,
} from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { LeaseAnswer } from '../engine/admission/lease.js';
import type { Capacity } from '../ports/capacity.port.js';
import { byAge, type Plan, type ProjectFacts, plan, type Refusal, type Request } from './domain/plan.js';
import type { RunCensus } from './run-census.js';
import { needsResources, toEntry, toGrant, toLease, toRequest, toWait } from './scheduling.mapper.js';

/** Requests and releases that come within this time are one round. */
const BATCH_MS = 3;
/** How often somebody who waits is looked at although nothing happened. */
const LOOK_MS = 1_000;
/** A grant that its step does not use for this long goes back: another gate closed in between. */
const UNUSED_MS = 5_000;
/** Writes of the ledger that lose their race in one round; what is left waits for the next one. */
const MAX_TRIES = 20;

/** What the scheduler works with. */
export interface SchedulerPorts {
  readonly capacity: Capacity;
  readonly census: RunCensus;
  readonly logger: Logger;
  /** Time that all replicas share. */
  nowMs(): number;
  /** The newest state of a run that is in memory. */
  stateOf(run: string): RunRecord | undefined;
  /** Lets a run look at its steps again. */
  wake(run: string): void;
}

/** Numbers of the scheduler. */
export interface SchedulerOptions {
  /** Name of this replica, written into the ledger. */
  readonly holder: string;
  /** Life of a lease that nobody renews. */
  readonly leaseMs: number;
  /** How long a request may be passed by smaller ones. */
  readonly patienceMs: number;
}

/** What was asked for one step, and what came of it. */
export interface Asked {
  /** The attempt's id. */
  readonly id: string;
  readonly stepId: string;
  answer: Exclude<LeaseAnswer, { kind: 'unasked' }>;
  /** When it was granted, ms; a grant that is not used in time goes back. */
  grantedMs: number;
}

/** Who asked. */
export interface Asker {
  /** Whether what was asked for is still what the step waits for. */
  isWanted(state: RunRecord | undefined, asked: Asked): boolean;
  /** It is not waited for any more. */
  settle(stepId: string, id: string): void;
}

interface Waiting {
  readonly request: Request;
  readonly asked: Asked;
  readonly asker: Asker;
}

/** Leases that fit into the ledger, which is one message of at most 900 KiB, with names as long as they may be. */
const MAX_ENTRIES = 2_000;

type AttemptFate = 'open' | 'ended' | 'withdrawn' | 'unknown';

const isScheduled = (fate: AttemptFate): boolean => fate === 'open' || fate === 'ended';

interface Round {
  readonly entries: readonly LedgerEntry[];
  readonly refusals: ReadonlyMap<string, Refusal>;
  readonly isChanged: boolean;
  readonly nowMs: number;
}

/**
 * Grants resources and places in projects to the steps of this replica's runs, out of a ledger that all replicas share:
 * one compare-and-set for all that was asked and given back within a few milliseconds. Who gets what is decided by
 * {@link plan} on everything that waits in any replica; each replica writes the grants of its own steps.
 *
 * A lease lives while its attempt does: any replica renews it when its holder is late, and drops it when the log says
 * that the attempt has ended. Only leases of attempts that nobody knows run out.
 */
export class LeaseScheduler {
  readonly #waiting = new Map<string, Waiting>();
  readonly #granted = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isDue = false;
  #reviewedMs = 0;
  #publishedMs = 0;
  #publishedCount = 0;

  constructor(
    private readonly ports: SchedulerPorts,
    private readonly options: SchedulerOptions,
  ) {}

  /** Begins to renew leases and to look at who waits. */
  start(): void {
    this.ports.capacity.onChange(() => {
      if (this.#waiting.size > 0) this.#kick();
    });
    this.#look = setInterval(() => this.#lookAgain(), LOOK_MS);
    this.#look.unref();
    this.#kick();
  }

  stop(): void {
    clearInterval(this.#look);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isDue = false;
  }

  /** Whether a step has to ask: for resources, or because its project is limited. */
  concerns(project: string, step: StepRecord): boolean {
    if (needsResources(step)) return true;
    const limits = this.ports.capacity.limitsOf(project);
    return limits !== undefined && limits.maxRunningRuns + limits.maxRunningSteps > 0;
  }

  /** Puts a step into the order; its answer changes as it goes. */
  ask(asker: Asker, asked: Asked, request: Request): void {
    this.#waiting.set(asked.id, { asker, asked, request });
    this.#kick();
  }

  /** An attempt has ended: what it held goes back at once. */
  release(id: string): void {
    if (this.ports.capacity.ledger().entries.some((entry) => entry.id === id)) this.#kick();
  }

  /** What is written down of a run besides what this replica asked: requests that wait, and attempts with a lease. */
  writtenOf(run: string): { readonly requests: readonly Request[]; readonly leased: ReadonlySet<string> } {
    const { capacity } = this.ports;
    const isOfRun = (one: { readonly run: string }) => one.run === run;
    const leased = new Set(
      capacity
        .ledger()
        .entries.filter(isOfRun)
        .map(({ id }) => id),
    );
    const others = capacity.othersRequests().filter(isOfRun);
    const isOpen = (other: { readonly id: string; readonly run: string }) =>
      !leased.has(other.id) && !this.#waiting.has(other.id) && !isScheduled(this.#attemptOf(other));
    return { requests: others.filter(isOpen).map(toRequest), leased };
  }

  /**
   * What the answers to requests would be now, beside everything that waits in any replica. Writes nothing: for people,
   * who ask a replica that was not asked for these resources.
   */
  foresee(requests: readonly Request[]): ReadonlyMap<string, LeaseAnswer> {
    if (requests.length === 0) return new Map();
    const { entries } = this.ports.capacity.ledger();
    const { refusals } = this.#plan(entries, this.ports.nowMs(), requests);
    return new Map(
      requests.map((request) => {
        const refusal = refusals.get(request.id);
        return [
          request.id,
          refusal ? { kind: 'waiting', wait: toWait(refusal, request) } : { kind: 'granted' },
        ] as const;
      }),
    );
  }

  /** Steps that wait, by reason. */
  waitingByReason(): ReadonlyMap<WaitKind, number> {
    const counts = new Map<WaitKind, number>();
    for (const { asked } of this.#waiting.values()) {
      const { answer } = asked;
      if (answer.kind !== 'waiting') continue;
      counts.set(answer.wait.kind, (counts.get(answer.wait.kind) ?? 0) + 1);
    }
    return counts;
  }

  #lookAgain(): void {
    const isReviewDue = this.ports.nowMs() - this.#reviewedMs > this.options.leaseMs / 4;
    if (this.#waiting.size > 0 || this.#granted.size > 0 || isReviewDue) this.#kick();
  }

  #kick(): void {
    this.#isDue = true;
    if (this.#isRunning) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#run();
    }, BATCH_MS);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#isDue && this.#look !== undefined) {
        this.#isDue = false;
        await this.#round();
      }
    } catch (error) {
      // the ledger cannot be reached: those who wait are looked at again in a second
      this.ports.logger.debug('events.handler_failed', { operation: 'grant leases', error });
    } finally {
      this.#isRunning = false;
    }
  }

  async #round(): Promise<void> {
    this.#dropUnwanted();
    const { capacity } = this.ports;
    for (let tries = 1; ; tries++) {
      const ledger = tries === 1 ? capacity.ledger() : await capacity.readLedger();
      const nowMs = this.ports.nowMs();
      const next = this.#next(ledger, nowMs);
      try {
        if (next.isChanged) await capacity.writeLedger(next.entries, ledger.revision);
        this.#reviewedMs = nowMs;
        this.#answer(next);
        break;
      } catch (thrown) {
        if (AppError.from(thrown).code !== 'ABORTED' || tries >= MAX_TRIES) throw thrown;
      }
    }
    await this.#publish();
  }

  /** The ledger as it should be, and what that says to those who wait. */
  #next({ entries }: Ledger, nowMs: number): Round {
    const kept = entries.flatMap((entry) => this.#review(entry, nowMs) ?? []);
    const { grants, refusals } = this.#plan(kept, nowMs);
    const added = grants
      .filter(({ id }) => this.#waiting.has(id))
      .slice(0, Math.max(0, MAX_ENTRIES - kept.length))
      .map((grant) => toEntry(grant, this.options.holder, nowMs + this.options.leaseMs));
    const isChanged =
      added.length > 0 || kept.length !== entries.length || kept.some((entry, i) => entry !== entries[i]);
    return { entries: [...kept, ...added], refusals, isChanged, nowMs };
  }

  /** Who gets what of all that waits in any replica. @param more  requests that nobody has made */
  #plan(kept: readonly LedgerEntry[], nowMs: number, more: readonly Request[] = []): Plan {
    const held = new Set(kept.map(({ id }) => id));
    const requests = new Map<string, Request>();
    const add = (request: Request) => {
      if (!held.has(request.id)) requests.set(request.id, request);
    };
    for (const { request } of this.#waiting.values()) add(request);
    // what others publish may be a second old: what was scheduled since waits no more
    for (const other of this.ports.capacity.othersRequests())
      if (!requests.has(other.id) && !isScheduled(this.#attemptOf(other))) add(toRequest(other));
    for (const request of more) if (!requests.has(request.id)) add(request);
    return plan({
      pools: this.ports.capacity.pools(),
      grants: kept.map(toGrant),
      requests: [...requests.values()],
      projectOf: (project) => this.#factsOf(project, kept),
      nowMs,
      patienceMs: this.options.patienceMs,
    });
  }

  /** The entry as it goes on, or undefined when it goes. */
  #review(entry: LedgerEntry, nowMs: number): LedgerEntry | undefined {
    const { holder, leaseMs } = this.options;
    const isAskedFor = this.#granted.has(entry.id) || this.#waiting.has(entry.id);
    const attempt = isAskedFor ? 'open' : this.#attemptOf(entry);
    if (attempt === 'ended' || (attempt === 'withdrawn' && entry.holder === holder)) return undefined;
    const leftMs = entry.expiresMs - nowMs;
    if (attempt !== 'open') {
      if (leftMs > 0) return entry;
      this.ports.logger.warn('lease.lost', { runId: entry.run, attemptId: entry.id, name: entry.pool });
      return undefined;
    }
    const isAdopted = this.#waiting.has(entry.id) && entry.holder !== holder;
    const isLate = leftMs < (entry.holder === holder ? leaseMs / 2 : leaseMs / 4);
    return isAdopted || isLate ? { ...entry, holder, expiresMs: nowMs + leaseMs } : entry;
  }

  /** What the log says about the attempt that holds an entry. */
  #attemptOf({ id, run }: Pick<LedgerEntry, 'id' | 'run'>): AttemptFate {
    const state = this.ports.stateOf(run);
    if (state === undefined) return 'unknown';
    const [, , stepId = '', number = ''] = id.split('.');
    const position = state.positions.get(stepId);
    const step = position === undefined ? undefined : state.steps.at(position);
    if (step === undefined) return 'unknown';
    const attempts = step.attempts.length;
    if (Number(number) > attempts) return 'withdrawn';
    return openAttempt(step)?.id === id ? 'open' : 'ended';
  }

  #factsOf(project: string, kept: readonly LedgerEntry[]): ProjectFacts {
    const limits = this.ports.capacity.limitsOf(project);
    const weight = limits?.weight || 1;
    if (limits === undefined || limits.maxRunningRuns + limits.maxRunningSteps === 0)
      return { maxRunningRuns: 0, maxRunningSteps: 0, weight, runs: new Set(), steps: 0 };
    const use = this.ports.census.usageOf(project);
    const runs = new Set(use.running);
    let steps = use.steps;
    for (const entry of kept) {
      if (entry.project !== project) continue;
      runs.add(entry.run);
      if (this.#attemptOf(entry) !== 'open') steps++;
    }
    const { maxRunningRuns, maxRunningSteps } = limits;
    return { maxRunningRuns, maxRunningSteps, weight, runs, steps };
  }

  #answer({ entries, refusals, nowMs }: Round): void {
    const byId = new Map(entries.map((entry) => [entry.id, entry]));
    const woken = new Set<string>();
    for (const [id, waiting] of this.#waiting) {
      const entry = byId.get(id);
      const refusal = refusals.get(id);
      if (entry) {
        this.#waiting.delete(id);
        this.#granted.set(id, waiting);
        waiting.asked.answer = { kind: 'granted', ...(entry.pool === '' ? {} : { lease: toLease(entry) }) };
        waiting.asked.grantedMs = nowMs;
        woken.add(waiting.request.run);
        this.ports.logger.debug('lease.acquired', { runId: entry.run, attemptId: id, name: entry.pool });
      } else if (refusal) waiting.asked.answer = { kind: 'waiting', wait: toWait(refusal, waiting.request) };
    }
    for (const run of woken) this.ports.wake(run);
  }

  /** What was scheduled holds its lease by its attempt; what is not waited for any more is forgotten. */
  #dropUnwanted(): void {
    const nowMs = this.ports.nowMs();
    for (const asked of [this.#waiting, this.#granted])
      for (const [id, { asker, asked: one, request }] of asked) {
        const isUnused = one.answer.kind === 'granted' && nowMs - one.grantedMs > UNUSED_MS;
        if (!isUnused && asker.isWanted(this.ports.stateOf(request.run), one)) continue;
        asked.delete(id);
        asker.settle(one.stepId, id);
      }
  }

  /** Lets other replicas know what waits here, at most once a second. */
  async #publish(): Promise<void> {
    const nowMs = this.ports.nowMs();
    const count = this.#waiting.size;
    if (count === 0 && this.#publishedCount === 0) return;
    if (count > 0 && nowMs - this.#publishedMs < LOOK_MS) return;
    const requests = [...this.#waiting.values()].map(({ request }) => request);
    requests.sort((a, b) => b.priority - a.priority || byAge(a, b));
    await this.ports.capacity.publishRequests(
      requests.slice(0, MAX_PUBLISHED).map(({ amounts, ...request }) => ({ ...request, ...amounts })),
    );
    this.#publishedMs = nowMs;
    this.#publishedCount = count;
  }
}

/** Requests that other replicas are told of: more than any round can grant. */
const MAX_PUBLISHED = 1_000;
