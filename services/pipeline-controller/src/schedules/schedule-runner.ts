import {
  type Failure,
  FailureSchema,
  OverlapPolicy,
  type Schedule,
  ScheduleSchema,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { KeptSchedule, ScheduleEntry } from '@agentforge/events';
import type { Logger, Metrics } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { countTimes, dueTimes } from '../domain/fire-times.js';
import type { ScheduleStorePort } from '../ports/schedule-store.port.js';
import type { ScheduleBook } from './schedule-book.js';
import { planOf } from './schedule-rules.js';
import type { ScheduleRuns } from './schedule-runs.js';

/** Codes after which the same run may be accepted a moment later. */
const PASSING: ReadonlySet<string> = new Set([
  'ABORTED',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'UNAVAILABLE',
  'UNKNOWN',
]);

/** What a runner works with. */
export interface ScheduleRunnerParts {
  readonly book: ScheduleBook;
  readonly store: ScheduleStorePort;
  readonly runs: ScheduleRuns;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tickMs: number;
  /** The clock by which schedules fire: one for all replicas. */
  readonly nowMs: () => number;
}

/**
 * Creates runs when schedules are due. Every replica does so: the run of a time has one name, so it is created once;
 * that the time is decided is written by compare and set after it, so a crash in between loses nothing and doubles
 * nothing.
 */
export class ScheduleRunner {
  readonly #next = new Map<string, { readonly revision: number; readonly ms: number }>();
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  #isStopped = false;

  constructor(private readonly parts: ScheduleRunnerParts) {
    this.#nowMs = parts.nowMs;
  }

  start(): void {
    this.#timer = setInterval(() => void this.tick(), this.parts.tickMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#working;
  }

  /** Looks at every schedule once; at most one look at a time. */
  tick(): Promise<void> {
    this.#working ??= this.#look().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  async #look(): Promise<void> {
    for (const entry of this.parts.book.list('-')) {
      if (this.#isStopped) return;
      try {
        await this.#decide(entry);
      } catch (error) {
        this.parts.logger.warn('schedule.failed', { name: entry.schedule.name, error });
      }
    }
  }

  async #decide(entry: ScheduleEntry): Promise<void> {
    const { schedule, queuedMs } = entry;
    // What is queued waits, too.
    if (schedule.paused) return;
    if (queuedMs !== undefined && !(await this.parts.runs.isActive(schedule))) {
      await this.#fire(entry, queuedMs, { decidedMs: entry.decidedMs });
      return;
    }
    const plan = planOf(schedule);
    const nowMs = this.#nowMs();
    if (plan === undefined || this.#nextOf(entry, plan.next) > nowMs) return;
    const due = dueTimes(plan.next, entry.decidedMs, nowMs, plan.missed, plan.deadlineMs);
    let current: ScheduleEntry | undefined = entry;
    for (const ms of due.fire) {
      current = await this.#decideTime(current, ms);
      if (current === undefined) return;
    }
    if (!(await this.#write({ ...current, decidedMs: due.untilMs }, current.revision))) return;
    const leftOut = due.leftOut + countTimes(plan.next, entry.decidedMs, due.fromMs);
    if (leftOut === 0) return;
    this.#count('missed', leftOut);
    this.parts.logger.warn('schedule.missed', { name: schedule.name, count: leftOut });
  }

  /** Decides one time. @returns what is kept now; undefined to stop: it failed for now, or another replica was faster */
  async #decideTime(entry: ScheduleEntry, ms: number): Promise<ScheduleEntry | undefined> {
    const { schedule } = entry;
    const overlap = schedule.overlapPolicy;
    const mayOverlap = overlap === OverlapPolicy.ALLOW || overlap === OverlapPolicy.REPLACE;
    if (!mayOverlap && (await this.parts.runs.isActive(schedule))) {
      if (overlap === OverlapPolicy.QUEUE) {
        this.#count(entry.queuedMs === undefined ? 'queued' : 'skipped');
        return this.#write({ ...entry, decidedMs: ms, queuedMs: entry.queuedMs ?? ms }, entry.revision);
      }
      this.#count('skipped');
      return this.#write({ ...entry, decidedMs: ms }, entry.revision);
    }
    return this.#fire(entry, ms, { decidedMs: ms, queuedMs: entry.queuedMs });
  }

  async #fire(
    entry: ScheduleEntry,
    ms: number,
    kept: Omit<KeptSchedule, 'schedule'>,
  ): Promise<ScheduleEntry | undefined> {
    const { schedule } = entry;
    const lastTime = timestampFromMs(ms);
    let outcome: Partial<Pick<Schedule, 'lastRun' | 'lastFailure'>>;
    try {
      outcome = { lastRun: await this.parts.runs.create(schedule, `time ${ms}`) };
    } catch (thrown) {
      const error = AppError.from(thrown);
      if (error.code === 'RESOURCE_EXHAUSTED') return this.#hold(entry, error);
      if (PASSING.has(error.code)) throw error;
      this.parts.logger.warn('schedule.failed', { name: schedule.name, code: error.code, error });
      outcome = { lastFailure: failureOf(error) };
    }
    // Only now: while nothing can take its place, the run before goes on.
    if (outcome.lastRun && schedule.overlapPolicy === OverlapPolicy.REPLACE)
      await this.parts.runs.replace(schedule, outcome.lastRun);
    const { lastFailure: _, ...rest } = schedule;
    const written = await this.#write(
      { schedule: create(ScheduleSchema, { ...rest, lastTime, ...outcome }), ...kept },
      entry.revision,
    );
    if (written === undefined) return undefined;
    this.#count(outcome.lastRun ? 'created' : 'failed');
    if (outcome.lastRun)
      this.parts.logger.info('schedule.fired', { name: schedule.name, runId: outcome.lastRun });
    return written;
  }

  /** Shows why a time waits: there is no room, which may last. The time stays undecided and is tried at every look. */
  async #hold(entry: ScheduleEntry, error: AppError): Promise<undefined> {
    const { schedule, decidedMs, queuedMs } = entry;
    const { code, reason } = schedule.lastFailure ?? {};
    if (code === error.code && reason === (error.reason ?? '')) return;
    const held = create(ScheduleSchema, { ...schedule, lastFailure: failureOf(error) });
    if (!(await this.#write({ schedule: held, decidedMs, queuedMs }, entry.revision))) return;
    this.#count('held');
    this.parts.logger.warn('schedule.failed', { name: schedule.name, code: error.code, error });
  }

  async #write(kept: KeptSchedule, revision: number): Promise<ScheduleEntry | undefined> {
    const { schedule, decidedMs, queuedMs } = kept;
    const written = await this.parts.store.update({ schedule, decidedMs, queuedMs }, revision);
    if (written) this.parts.book.note(written);
    return written;
  }

  /** The next time of a schedule, computed once for each of its revisions. */
  #nextOf(
    { schedule, revision, decidedMs }: ScheduleEntry,
    next: (ms: number) => number | undefined,
  ): number {
    const known = this.#next.get(schedule.name);
    if (known?.revision === revision) return known.ms;
    const ms = next(decidedMs) ?? Number.POSITIVE_INFINITY;
    this.#next.set(schedule.name, { revision, ms });
    return ms;
  }

  #count(outcome: string, times = 1): void {
    this.parts.metrics.counter('scheduleRuns').inc({ outcome }, times);
  }
}

const failureOf = ({ code, message, reason = '', fieldViolations }: AppError): Failure =>
  create(FailureSchema, {
    code,
    message,
    reason,
    fieldViolations: fieldViolations.map((one) => ({ ...one })),
  });
