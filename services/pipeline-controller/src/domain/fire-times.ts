import { type Cron, nextLocal } from './cron.js';
import { instantOf, localOf } from './time-zone.js';

/** What becomes of times that were missed. */
export type MissedRuns = 'skip' | 'one' | 'all';

/** How late a time may be found to count as on time, ms. */
export const ON_TIME_MS = 60_000;

/** Most times that are looked at, and most runs that are created for missed ones. */
export const MAX_MISSED = 100;

/** Most times beyond the start deadline that are counted: a schedule of minutes that was off for a year has half a million. */
export const MAX_COUNTED = 1_000;

/** The next instant at which a schedule fires, ms since 1970; undefined when it never does. */
export function nextTime(cron: Cron, zone: string, afterMs: number): number | undefined {
  let localMs: number | undefined = localOf(zone, afterMs);
  for (;;) {
    localMs = nextLocal(cron, localMs);
    if (localMs === undefined) return undefined;
    // In the second pass through an hour, local times that had their turn are behind.
    const instantMs = instantOf(zone, localMs);
    if (instantMs > afterMs) return instantMs;
  }
}

/** Times for which runs are to be created, oldest first, and how many were left out. */
export interface DueTimes {
  readonly fire: readonly number[];
  /** Not among them: those beyond the deadline. */
  readonly leftOut: number;
  /** Times up to here are beyond the deadline. */
  readonly fromMs: number;
  /** Everything up to here is decided, once the runs are created. */
  readonly untilMs: number;
}

/**
 * Times after `sinceMs` up to now, by the policy of missed ones.
 * @param deadlineMs  a time that is later than this is left out whatever the policy
 */
export function dueTimes(
  next: (afterMs: number) => number | undefined,
  sinceMs: number,
  nowMs: number,
  policy: MissedRuns,
  deadlineMs: number,
): DueTimes {
  const fromMs = Math.max(sinceMs, nowMs - deadlineMs - 1);
  const missed: number[] = [];
  const onTime: number[] = [];
  let leftOut = 0;
  for (let ms = next(fromMs); ms !== undefined && ms <= nowMs; ms = next(ms)) {
    if (nowMs - ms <= Math.min(ON_TIME_MS, deadlineMs)) onTime.push(ms);
    else missed.push(ms);
    if (missed.length > MAX_MISSED) {
      missed.shift();
      leftOut++;
    }
  }
  const kept = policy === 'all' ? missed : policy === 'one' ? missed.slice(-1) : [];
  return {
    fire: [...kept, ...onTime],
    leftOut: leftOut + missed.length - kept.length,
    fromMs,
    untilMs: nowMs,
  };
}

/** How many times there are after one time up to another, counted up to {@link MAX_COUNTED}. */
export function countTimes(
  next: (afterMs: number) => number | undefined,
  afterMs: number,
  untilMs: number,
): number {
  let count = 0;
  let ms = next(afterMs);
  for (; ms !== undefined && ms <= untilMs && count < MAX_COUNTED; ms = next(ms)) count++;
  return count;
}
