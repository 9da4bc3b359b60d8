import { MissedRunsPolicy, type Schedule } from '@agentforge/contracts';
import type { FieldViolation } from '@agentforge/errors';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { type Cron, parseCron } from '../domain/cron.js';
import { type MissedRuns, nextTime } from '../domain/fire-times.js';
import { isTimeZone } from '../domain/time-zone.js';

/** Lateness after which a time is left out when a schedule does not say, and the longest that it may say. */
const DEFAULT_DEADLINE_MS = 3_600_000;
const MAX_DEADLINE_MS = 7 * 86_400_000;
const MAX_NAME = 256;
const MAX_LABELS = 63;

/** Everything that is wrong with a schedule, but for its graph. */
export function scheduleViolations(schedule: Schedule): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const refuse = (field: string, description: string) =>
    violations.push({ field: `schedule.${field}`, description });
  for (const problem of parseCron(schedule.cron).problems) refuse('cron', problem);
  if (!isTimeZone(zoneOf(schedule)))
    refuse(
      'time_zone',
      `is ${JSON.stringify(schedule.timeZone.slice(0, 80))}; must be a name of the IANA database, for example "Europe/Zurich", or empty for UTC`,
    );
  if (schedule.displayName.length > MAX_NAME) refuse('display_name', `is longer than ${MAX_NAME} characters`);
  const { startDeadline, template } = schedule;
  const deadline = startDeadline ? durationMs(startDeadline) : DEFAULT_DEADLINE_MS;
  if (!(deadline >= 1_000 && deadline <= MAX_DEADLINE_MS))
    refuse('start_deadline', `is ${deadline / 1_000} s; must be 1 s to 7 days`);
  if (template?.graph === undefined) refuse('template.graph', 'is missing');
  if (Object.keys(template?.labels ?? {}).length > MAX_LABELS)
    refuse('template.labels', `are more than ${MAX_LABELS}`);
  return violations;
}

/** How a kept schedule fires; undefined when it cannot be read. */
export function planOf(schedule: Schedule) {
  const { cron } = parseCron(schedule.cron);
  if (cron === undefined) return undefined;
  return {
    next: (afterMs: number) => nextOf(cron, schedule, afterMs),
    missed: MISSED[schedule.missedRunsPolicy] ?? 'one',
    deadlineMs: schedule.startDeadline ? durationMs(schedule.startDeadline) : DEFAULT_DEADLINE_MS,
  };
}

const nextOf = (cron: Cron, schedule: Schedule, afterMs: number) => nextTime(cron, zoneOf(schedule), afterMs);

const zoneOf = ({ timeZone }: Schedule): string => timeZone || 'UTC';

const MISSED: Partial<Record<MissedRunsPolicy, MissedRuns>> = {
  [MissedRunsPolicy.SKIP]: 'skip',
  [MissedRunsPolicy.ONE]: 'one',
  [MissedRunsPolicy.ALL]: 'all',
};
