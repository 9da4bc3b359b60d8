import {
  type PipelineService,
  type Run,
  RunSchema,
  type Schedule,
  ScheduleSchema,
} from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { toJson } from '@bufbuild/protobuf';
import { durationMs, type Timestamp, TimestampSchema, timestampDate } from '@bufbuild/protobuf/wkt';
import { listAllRuns, runTable } from '../api/list-runs.js';
import { listing, type Rendering } from '../output/format.js';
import type { Style } from '../output/style.js';
import { formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import { missedWord, overlapWord } from './schedule.words.js';

/** Runs of a schedule that are shown with it. */
const SHOWN_RUNS = 5;
/** What the server takes when a schedule does not say. */
const DEFAULT_DEADLINE_SECONDS = 3_600;

/** The newest runs of a schedule; they carry its id as a label. */
export async function lastRuns(client: Client<typeof PipelineService>, { name }: Schedule): Promise<Run[]> {
  const [, project = '', , id = ''] = name.split('/');
  const runs = await listAllRuns(client, project, { label: [`schedule=${id}`], limit: SHOWN_RUNS });
  // Anybody may set a label.
  return runs.filter((run) => run.schedule === name);
}

/** Schedules as a table. */
export function scheduleTable(schedules: readonly Schedule[]): Rendering {
  return listing(
    schedules,
    [
      {
        title: 'schedule',
        value: ({ name }) => printable(name.slice('projects/'.length).replace('/schedules/', '/')),
      },
      { title: 'name', value: ({ displayName }) => printable(displayName) },
      { title: 'cron', value: ({ cron }) => printable(cron) },
      { title: 'time zone', value: ({ timeZone }) => printable(timeZone || 'UTC') },
      { title: 'state', value: stateOf },
      { title: 'next', value: ({ nextTime }) => timeOf(nextTime) },
      { title: 'last', value: ({ lastTime }) => timeOf(lastTime) },
    ],
    {
      value: schedules.map((schedule) => toJson(ScheduleSchema, schedule)),
      name: ({ name }) => name,
      empty: 'no schedules',
    },
  );
}

/** One schedule with its next times and its last runs. */
export function scheduleReport(
  schedule: Schedule,
  nextTimes: readonly Timestamp[],
  runs: readonly Run[],
): Rendering {
  return {
    value: {
      ...(toJson(ScheduleSchema, schedule) as object),
      nextTimes: nextTimes.map((time) => toJson(TimestampSchema, time)),
      runs: runs.map((run) => toJson(RunSchema, run)),
    },
    names: [schedule.name],
    table: (style) => [...factLines(schedule, nextTimes, style), '', runTable(runs).table(style)].join('\n'),
  };
}

/** The next time for people: in UTC, and in the schedule's zone. */
export function nextOf({ paused, nextTime, timeZone }: Schedule): string {
  if (!nextTime) return paused ? '– (paused)' : '–';
  return timeInZone(nextTime, timeZone);
}

/** A time for people: in UTC, and in a zone if there is one. */
const timeInZone = (time: Timestamp, timeZone: string): string =>
  `${timeOf(time)}${timeZone ? ` (${localTime(time, timeZone)})` : ''}`;

function factLines(schedule: Schedule, nextTimes: readonly Timestamp[], style: Style): string[] {
  const { startDeadline, lastFailure, template } = schedule;
  const deadline = startDeadline ? durationMs(startDeadline) / 1_000 : DEFAULT_DEADLINE_SECONDS;
  const facts: [string, string][] = [
    ['schedule', schedule.name],
    ['name', schedule.displayName || '–'],
    ['state', stateOf(schedule)],
    ['cron', `${schedule.cron} (${schedule.timeZone || 'UTC'})`],
    ['next', nextOf(schedule)],
    ...nextTimes.slice(1).map((time): [string, string] => ['', timeInZone(time, schedule.timeZone)]),
    ['last', timeOf(schedule.lastTime)],
    ['missed', `${missedWord(schedule.missedRunsPolicy)}, at most ${formatSeconds(deadline)} late`],
    ['overlap', overlapWord(schedule.overlapPolicy)],
    ['steps', (template?.graph?.steps ?? []).map(({ id }) => id).join(', ')],
    ['created', timeOf(schedule.createTime)],
  ];
  const lines = facts.map(([title, value]) => `${style.dim(title.padEnd(12))}${printable(value)}`);
  if (!lastFailure) return lines;
  const causes = lastFailure.fieldViolations.map(({ field, description }) => `  ${field}: ${description}`);
  const why = [`no run could be created: ${lastFailure.message} (${lastFailure.code})`, ...causes];
  return [...lines, ...why.map((line) => style.red(printable(line)))];
}

const stateOf = ({ paused, lastFailure }: Schedule): string =>
  paused ? 'paused' : lastFailure ? 'failing' : 'active';

const timeOf = (time: Timestamp | undefined): string => (time ? timestampDate(time).toISOString() : '–');

/** `2026-11-22 03:00 Europe/Berlin`; only the zone when this machine does not know it. */
function localTime(time: Timestamp, timeZone: string): string {
  try {
    // Swedish writes dates as ISO 8601 does.
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
    return `${format.format(timestampDate(time))} ${timeZone}`;
  } catch {
    return timeZone;
  }
}
