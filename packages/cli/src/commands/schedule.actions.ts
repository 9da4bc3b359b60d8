import { randomUUID } from 'node:crypto';
import { type Schedule, ScheduleSchema, TriggerScheduleResponseSchema } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { toJson } from '@bufbuild/protobuf';
import { scheduleProblems } from '../api/schedule-problems.js';
import { readSpecSource } from '../api/spec-source.js';
import { buildGraph, type ReadySpec, requireSpec } from '../api/submit-run.js';
import { UsageError } from '../errors.js';
import type { Rendering } from '../output/format.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';
import { parseDuration } from '../spec/duration.js';
import { toDuration } from '../spec/graph.js';
import { showRun } from './run.actions.js';
import { lastRuns, nextOf, scheduleReport, scheduleTable } from './schedule.report.js';
import { type MissedWord, missedPolicy, type OverlapWord, overlapPolicy } from './schedule.words.js';

/** The server asks the phases whether the graph fits. */
const DEADLINE_MS = 30_000;
const MAX_PAGE = 1_000;

/** Options of `schedule update`. */
export interface ChangeOptions {
  readonly file?: string;
  readonly set?: readonly string[];
  readonly cron?: string;
  readonly timeZone?: string;
  readonly missed?: MissedWord;
  readonly overlap?: OverlapWord;
  readonly startDeadline?: string;
  readonly name?: string;
}

/** Options of `schedule create`. */
export interface CreateOptions extends ChangeOptions {
  readonly file: string;
  readonly cron: string;
  readonly paused?: boolean;
}

/** Creates a schedule. */
export async function createSchedule(session: Session, options: CreateOptions, id: string): Promise<void> {
  const fields = fieldsOf(options);
  const ready = await readTemplate(session, options.file, options.set);
  const project = ready.spec.project ?? (await session.project());
  const template = await templateOf(session, ready, project);
  const client = await session.schedules();
  const parent = `projects/${project}`;
  const { schedule } = await scheduleProblems(ready, () =>
    client.createSchedule(
      {
        parent,
        scheduleId: id,
        schedule: { ...fields, template, paused: options.paused ?? false },
      },
      { signal: session.io.interruption(), deadlineMs: DEADLINE_MS },
    ),
  );
  await printChange(session, schedule, 'created');
}

/** Options of `schedule list`. */
export interface ListOptions {
  readonly paused?: boolean;
  readonly filter?: string;
  readonly allProjects?: boolean;
  readonly limit: number;
}

/** Lists schedules. */
export async function listSchedules(session: Session, options: ListOptions): Promise<void> {
  const parent = `projects/${options.allProjects ? '-' : await session.project()}`;
  const terms = [...(options.paused ? ['paused = true'] : []), ...(options.filter ? [options.filter] : [])];
  const client = await session.schedules();
  const found: Schedule[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(MAX_PAGE, options.limit - found.length);
    const page = await client.listSchedules({ parent, pageSize, pageToken, filter: terms.join(' AND ') });
    found.push(...page.schedules);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && found.length < options.limit);
  await session.print(scheduleTable(found));
}

/** Shows a schedule with its last runs. */
export async function getSchedule(session: Session, _options: object, text: string): Promise<void> {
  const name = await session.scheduleName(text);
  const { schedule, nextTimes } = await (await session.schedules()).getSchedule({ name });
  if (!schedule) throw new AppError('NOT_FOUND', `${name} does not exist`);
  await session.print(
    scheduleReport(schedule, nextTimes, await lastRuns(await session.pipeline(), schedule)),
  );
}

/** Changes what is named of a schedule. */
export async function updateSchedule(session: Session, options: ChangeOptions, text: string): Promise<void> {
  const { file, set = [] } = options;
  const fields = fieldsOf(options);
  if (file === undefined && set.length > 0)
    throw new UsageError('--set changes a specification; name it with --file');
  const paths = Object.entries(PATHS).flatMap(([option, path]) =>
    options[option as keyof typeof PATHS] === undefined ? [] : [path],
  );
  if (paths.length === 0) throw new UsageError('name at least one thing to change; --help lists them');
  const ready = file === undefined ? undefined : await readTemplate(session, file, set);
  const name = await session.scheduleName(text, ready?.spec.project);
  const template = ready && (await templateOf(session, ready, name.split('/')[1] ?? ''));
  const client = await session.schedules();
  const { schedule } = await scheduleProblems(ready, () =>
    client.updateSchedule(
      { schedule: { name, ...fields, ...(template ? { template } : {}) }, updateMask: { paths } },
      { signal: session.io.interruption(), deadlineMs: DEADLINE_MS },
    ),
  );
  await printChange(session, schedule, 'changed');
}

/** Pauses a schedule. */
export async function pauseSchedule(session: Session, _options: object, text: string): Promise<void> {
  const client = await session.schedules();
  const { schedule } = await client.pauseSchedule({ name: await session.scheduleName(text) });
  await printChange(session, schedule, 'paused');
}

/** Resumes a schedule. */
export async function resumeSchedule(session: Session, _options: object, text: string): Promise<void> {
  const client = await session.schedules();
  const { schedule } = await client.resumeSchedule({ name: await session.scheduleName(text) });
  await printChange(session, schedule, 'resumed');
}

/** Removes a schedule. */
export async function deleteSchedule(session: Session, _options: object, text: string): Promise<void> {
  const name = await session.scheduleName(text);
  await (await session.schedules()).deleteSchedule({ name });
  await session.print({
    value: { name },
    names: [name],
    table: (style) => `${style.green('deleted')} ${name}`,
  });
}

/** Options of `schedule trigger`. */
export interface TriggerOptions {
  readonly wait?: boolean;
  readonly watch?: boolean;
}

/** Creates a run now; waits for it or shows it when asked to. */
export async function triggerSchedule(
  session: Session,
  options: TriggerOptions,
  text: string,
): Promise<void> {
  const client = await session.schedules();
  const name = await session.scheduleName(text);
  const response = await client.triggerSchedule(
    { name, requestId: randomUUID() },
    { deadlineMs: DEADLINE_MS },
  );
  const { run } = response;
  if (options.watch || options.wait) await showRun(session, run, { silent: !options.watch });
  else
    await session.print({
      value: toJson(TriggerScheduleResponseSchema, response),
      names: [run],
      table: (style) => `${style.green('created')} ${printable(run)}`,
    });
}

/** Fields of the API that options set. */
const PATHS = {
  file: 'template',
  cron: 'cron',
  timeZone: 'time_zone',
  missed: 'missed_runs_policy',
  overlap: 'overlap_policy',
  startDeadline: 'start_deadline',
  name: 'display_name',
} as const;

function fieldsOf({ cron = '', timeZone = '', missed, overlap, startDeadline, name = '' }: ChangeOptions) {
  const deadlineMs = startDeadline === undefined ? undefined : parseDuration(startDeadline);
  if (startDeadline !== undefined && deadlineMs === undefined)
    throw new UsageError(`--start-deadline ${startDeadline}: expected a duration, for example 1h30m`);
  return {
    displayName: name,
    ...{ cron, timeZone },
    missedRunsPolicy: missedPolicy(missed),
    overlapPolicy: overlapPolicy(overlap),
    ...(deadlineMs === undefined ? {} : { startDeadline: toDuration(deadlineMs) }),
  };
}

async function readTemplate(
  session: Session,
  file: string,
  overrides: readonly string[] = [],
): Promise<ReadySpec> {
  const ready = requireSpec(await readSpecSource(session.io, file, overrides));
  if (ready.spec.run !== '')
    session.remark(
      `"run: ${printable(ready.spec.run)}" is left out: each run of a schedule has an id of its own`,
    );
  return ready;
}

async function templateOf(session: Session, ready: ReadySpec, project: string) {
  const door = { pipeline: await session.pipeline(), artifacts: await session.artifacts() };
  const graph = await buildGraph(ready, door, project, session.io.interruption());
  return { displayName: ready.spec.name, labels: ready.spec.labels, graph };
}

async function printChange(session: Session, schedule: Schedule | undefined, what: string): Promise<void> {
  if (!schedule) return;
  const rendering: Rendering = {
    value: toJson(ScheduleSchema, schedule),
    names: [schedule.name],
    table: (style) =>
      `${style.green(what)} ${printable(schedule.name)} ${style.dim(`next: ${nextOf(schedule)}`)}`,
  };
  await session.print(rendering);
}
