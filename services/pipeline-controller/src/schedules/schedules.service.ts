import { randomUUID } from 'node:crypto';
import {
  type CreateScheduleRequest,
  type ListSchedulesRequest,
  OverlapPolicy,
  type Schedule,
  ScheduleSchema,
  type UpdateScheduleRequest,
} from '@agentforge/contracts';
import type { ScheduleEntry } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { type FieldKinds, matches } from '../domain/filter.js';
import { InvalidRequestError } from '../pipeline-controller.errors.js';
import type { EnginePort } from '../ports/engine.port.js';
import type { ScheduleStorePort } from '../ports/schedule-store.port.js';
import { checkFilter, checkParent, pageSizeViolations } from '../queries.js';
import type { ScheduleBook } from './schedule-book.js';
import { planOf, scheduleViolations } from './schedule-rules.js';
import type { ScheduleRuns } from './schedule-runs.js';
import {
  EtagMismatchError,
  OverlapRefusedError,
  ScheduleExistsError,
  ScheduleNotFoundError,
  TooManySchedulesError,
} from './schedules.errors.js';

const ID = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const NAME = /^projects\/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/schedules\/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const PAGE = { standard: 50, most: 1_000 };
/** Schedules of one project; each costs a look every second. */
const MAX_SCHEDULES = 1_000;
const MAX_TRIES = 10;
/** Times that GetSchedule tells. */
const SHOWN_TIMES = 5;
const FIELDS: FieldKinds = { display_name: 'text', paused: 'word', create_time: 'time' };

/** Fields that a request may set, by their names in masks. */
const MASKABLE = {
  display_name: 'displayName',
  cron: 'cron',
  time_zone: 'timeZone',
  missed_runs_policy: 'missedRunsPolicy',
  overlap_policy: 'overlapPolicy',
  start_deadline: 'startDeadline',
  template: 'template',
  paused: 'paused',
} as const satisfies Record<string, keyof Schedule>;

/** Schedules: create, look, change, remove, trigger. */
export class ScheduleUseCases {
  constructor(
    private readonly book: ScheduleBook,
    private readonly store: ScheduleStorePort,
    private readonly runs: ScheduleRuns,
    private readonly engine: EnginePort,
    private readonly logger: Logger,
    /** The clock by which schedules fire. */
    private readonly nowMs: () => number,
  ) {}

  /** @throws INVALID_ARGUMENT, ALREADY_EXISTS, RESOURCE_EXHAUSTED */
  async create({ parent, scheduleId, schedule: asked }: CreateScheduleRequest): Promise<Schedule> {
    const project = checkParent(parent, false);
    const violations = ID.test(scheduleId)
      ? []
      : [
          {
            field: 'schedule_id',
            description: 'must be 1 to 63 of a-z, 0-9 and "-", with a letter or digit at both ends',
          },
        ];
    const nowMs = this.nowMs();
    const time = timestampFromMs(nowMs);
    const name = `${parent}/schedules/${scheduleId}`;
    const fresh = { name, createTime: time, updateTime: time };
    const schedule = create(ScheduleSchema, { ...settable(asked), ...fresh });
    await this.#check(schedule, violations);
    if (this.book.list(project).length >= MAX_SCHEDULES) throw new TooManySchedulesError(MAX_SCHEDULES);
    const entry = await this.store.create({ schedule, decidedMs: nowMs });
    if (entry === undefined) throw new ScheduleExistsError(name);
    return this.#changed(entry);
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  async get(name: string): Promise<{ readonly schedule: Schedule; readonly nextTimes: Timestamp[] }> {
    const entry = await this.#existing(name);
    const times = nextTimesOf(entry, this.nowMs(), SHOWN_TIMES);
    return { schedule: this.#shown(entry), nextTimes: times.map(timestampFromMs) };
  }

  /** One page, by name. @throws INVALID_ARGUMENT */
  list(request: ListSchedulesRequest): { readonly schedules: Schedule[]; readonly nextPageToken: string } {
    const project = checkParent(request.parent, true);
    const violations = pageSizeViolations(request.pageSize, PAGE);
    const after = request.pageToken === '' ? '' : nameInToken(request);
    if (after === undefined)
      violations.push({
        field: 'page_token',
        description: 'is not a token of this query; pass next_page_token with the same parent and filter',
      });
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const terms = checkFilter(request.filter, FIELDS);
    const found = this.book
      .list(project)
      .filter(({ schedule }) => schedule.name > (after ?? '') && matches(terms, fieldsOf(schedule)));
    const page = found.slice(0, request.pageSize || PAGE.standard);
    const last = page.at(-1)?.schedule.name;
    return {
      schedules: page.map((entry) => this.#shown(entry)),
      nextPageToken: found.length > page.length && last ? tokenOf(request, last) : '',
    };
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT, ABORTED */
  async update({ schedule: asked, updateMask }: UpdateScheduleRequest): Promise<Schedule> {
    const paths = updateMask?.paths ?? Object.keys(MASKABLE);
    const unknown = paths.filter((path) => !(path in MASKABLE));
    if (unknown.length > 0)
      throw new InvalidRequestError(
        unknown.map((path) => ({
          field: 'update_mask',
          description: `names "${path.slice(0, 80)}"; must be of ${Object.keys(MASKABLE).join(', ')}`,
        })),
      );
    const values = settable(asked);
    const chosen = Object.fromEntries(
      paths.map((path) => {
        const field = MASKABLE[path as keyof typeof MASKABLE];
        return [field, values[field]];
      }),
    );
    return this.#change(asked?.name ?? '', asked?.etag ?? '', async (entry) => {
      const { startDeadline, template, ...rest } = entry.schedule;
      const merged = {
        ...rest,
        ...(startDeadline ? { startDeadline } : {}),
        ...(template ? { template } : {}),
      };
      const schedule = create(ScheduleSchema, { ...merged, ...chosen, name: rest.name });
      await this.#check(schedule, []);
      const hasNewTimes =
        schedule.cron !== entry.schedule.cron || schedule.timeZone !== entry.schedule.timeZone;
      // Times of the former calendar are not missed times of the new one.
      return { ...entry, schedule, ...(hasNewTimes ? { decidedMs: this.nowMs(), queuedMs: undefined } : {}) };
    });
  }

  pause(name: string): Promise<Schedule> {
    return this.#change(name, '', async (entry) => ({
      ...entry,
      schedule: { ...entry.schedule, paused: true },
    }));
  }

  resume(name: string): Promise<Schedule> {
    return this.#change(name, '', async (entry) => ({
      ...entry,
      schedule: { ...entry.schedule, paused: false },
    }));
  }

  /** @throws NOT_FOUND */
  async delete(name: string): Promise<void> {
    await this.#existing(name);
    await this.store.remove(name);
    this.book.forget(name);
    this.logger.info('schedule.changed', { name, operation: 'delete' });
  }

  /**
   * Creates a run now, once for each request id.
   * @returns its name
   * @throws NOT_FOUND, FAILED_PRECONDITION, RESOURCE_EXHAUSTED
   */
  async trigger(name: string, requestId: string): Promise<string> {
    const { schedule } = await this.#existing(name);
    const { overlapPolicy } = schedule;
    const cause = `request ${requestId || randomUUID()}`;
    const found = requestId === '' ? undefined : await this.runs.find(schedule, cause);
    if (found?.isNoted) return found.name;
    const mayOverlap = overlapPolicy === OverlapPolicy.ALLOW || overlapPolicy === OverlapPolicy.REPLACE;
    if (!found && !mayOverlap && (await this.runs.isActive(schedule)))
      throw new OverlapRefusedError(name, schedule.lastRun);
    const run = await this.runs.create(schedule, cause);
    if (overlapPolicy === OverlapPolicy.REPLACE) await this.runs.replace(schedule, run);
    await this.#change(name, '', async (entry) => ({
      ...entry,
      schedule: { ...entry.schedule, lastRun: run },
    }));
    return run;
  }

  async #check(schedule: Schedule, violations: { field: string; description: string }[]): Promise<void> {
    const all = [...violations, ...scheduleViolations(schedule)];
    const graph = schedule.template?.graph;
    if (graph !== undefined) {
      const verdict = await this.engine.validate(graph);
      for (const { field, description } of verdict.violations)
        all.push({ field: `schedule.template.graph.${field}`, description });
    }
    if (all.length > 0) throw new InvalidRequestError(all);
  }

  /** Changes a schedule on its newest state; a runner may write it at the same time. */
  async #change(
    name: string,
    etag: string,
    change: (entry: ScheduleEntry) => Promise<ScheduleEntry>,
  ): Promise<Schedule> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const entry = await this.#existing(name);
      if (etag !== '' && etag !== String(entry.revision)) break;
      const changed = await change(entry);
      const schedule = { ...changed.schedule, updateTime: timestampFromMs(this.nowMs()) };
      const { decidedMs, queuedMs } = changed;
      const written = await this.store.update({ schedule, decidedMs, queuedMs }, entry.revision);
      if (written !== undefined) return this.#changed(written);
    }
    throw new EtagMismatchError(name);
  }

  #changed(entry: ScheduleEntry): Schedule {
    this.book.note(entry);
    this.logger.info('schedule.changed', { name: entry.schedule.name });
    return this.#shown(entry);
  }

  /** A schedule with its next time and its etag. */
  #shown(entry: ScheduleEntry): Schedule {
    const { nextTime: _, ...rest } = entry.schedule;
    const [ms] = nextTimesOf(entry, this.nowMs(), 1);
    return create(ScheduleSchema, {
      ...rest,
      etag: String(entry.revision),
      ...(ms === undefined ? {} : { nextTime: timestampFromMs(ms) }),
    });
  }

  async #existing(name: string): Promise<ScheduleEntry> {
    if (!NAME.test(name))
      throw new InvalidRequestError([
        {
          field: 'name',
          description: `is ${JSON.stringify(name.slice(0, 200))}; must be "projects/{project}/schedules/{schedule}"`,
        },
      ]);
    const entry = await this.store.get(name);
    if (entry === undefined) throw new ScheduleNotFoundError(name);
    return entry;
  }
}

/** What a request may set; what it must not is left out. */
function settable(asked: Schedule | undefined) {
  const { displayName = '', cron = '', timeZone = '', paused = false } = asked ?? {};
  const { missedRunsPolicy = 0, overlapPolicy = 0, startDeadline, template } = asked ?? {};
  return {
    ...{ displayName, cron, timeZone, paused, missedRunsPolicy, overlapPolicy },
    ...(startDeadline ? { startDeadline } : { startDeadline: undefined }),
    ...(template ? { template } : { template: undefined }),
  };
}

/** The next times of a schedule; none while it is paused. */
function nextTimesOf({ schedule, decidedMs }: ScheduleEntry, nowMs: number, count: number): number[] {
  const plan = schedule.paused ? undefined : planOf(schedule);
  const times: number[] = [];
  let ms = plan?.next(Math.max(decidedMs, nowMs));
  for (; ms !== undefined && times.length < count; ms = plan?.next(ms)) times.push(ms);
  return times;
}

const fieldsOf = ({ displayName, paused, createTime }: Schedule) => ({
  display_name: displayName,
  paused: String(paused),
  create_time: createTime ? timestampMs(createTime) : 0,
});

const tokenOf = ({ parent, filter }: ListSchedulesRequest, last: string): string =>
  Buffer.from(JSON.stringify([parent, filter, last])).toString('base64url');

function nameInToken({ parent, filter, pageToken }: ListSchedulesRequest): string | undefined {
  try {
    const [p, f, last] = JSON.parse(Buffer.from(pageToken, 'base64url').toString('utf8')) as unknown[];
    return p === parent && f === filter && typeof last === 'string' ? last : undefined;
  } catch {
    return undefined;
  }
}
