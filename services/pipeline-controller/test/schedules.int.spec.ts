import { setTimeout as sleep } from 'node:timers/promises';
import {
  ArtifactRefSchema,
  MissedRunsPolicy,
  OverlapPolicy,
  PipelineService,
  RunState,
  type Schedule,
  ScheduleSchema,
  ScheduleService,
} from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import type { Client, RunningService } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type FrontDoors, GRAPH, parent, startFrontDoors } from './start-front-door.js';
import { commit } from './stub-orchestrator.js';

const HOUR_MS = 3_600_000;
const template = { graph: GRAPH, labels: { team: 'x' } };

describe('schedules of the front door', () => {
  let doors: FrontDoors;
  let events: Events;
  let client: Client<typeof ScheduleService>;
  let other: Client<typeof ScheduleService>;
  let pipeline: Client<typeof PipelineService>;
  let services: readonly RunningService[];
  let count = 0;

  beforeAll(async () => {
    doors = await startFrontDoors();
    events = doors.events;
    const fast = { FORGE_SCHEDULE_TICK_MS: '20' };
    const [one, two] = await Promise.all([doors.start(fast), doors.start(fast)]);
    services = [one, two];
    client = doors.client(ScheduleService, one);
    other = doors.client(ScheduleService, two);
    pipeline = doors.client(PipelineService, one);
  }, 60_000);
  afterAll(() => doors.end(), 60_000);

  /** A schedule that was last looked at some hours ago, as if every replica had been away since. */
  const neglected = async (
    hours: number,
    fields: Partial<
      Pick<Schedule, 'cron' | 'missedRunsPolicy' | 'overlapPolicy' | 'paused' | 'startDeadline'>
    >,
  ): Promise<string> => {
    const name = `${parent}/schedules/s${++count}`;
    const decidedMs = Date.now() - hours * HOUR_MS;
    const time = timestampFromMs(decidedMs);
    const schedule = create(ScheduleSchema, {
      ...{ name, cron: '@hourly', createTime: time, updateTime: time, template },
      startDeadline: durationFromMs(7 * 24 * HOUR_MS),
      ...fields,
    });
    await events.schedules.create({ schedule, decidedMs });
    return name;
  };
  const runsOf = async (schedule: string) => {
    const id = schedule.split('/').at(-1);
    return (await pipeline.listRuns({ parent, filter: `labels.schedule=${id}`, pageSize: 100 })).runs;
  };
  const until = async (name: string, isMet: (schedule: Schedule) => boolean): Promise<Schedule> => {
    for (let tries = 0; tries < 500; tries++, await sleep(20)) {
      const { schedule } = await client.getSchedule({ name });
      if (schedule && isMet(schedule)) return schedule;
    }
    throw new Error(`${name} did not get there`);
  };
  const end = (run: string) =>
    commit(events, run, [
      { case: 'runCancelRequested', value: {} },
      { case: 'stepCancelled', value: { stepId: 'a' } },
      { case: 'runCancelled', value: {} },
    ]);
  /** Waits until every time up to now is decided, and a little longer for whoever would do it twice. */
  const settled = async (name: string) => {
    for (let tries = 0; tries < 500; tries++, await sleep(20)) {
      const entry = await events.schedules.get(name);
      if (
        entry &&
        Date.now() - entry.decidedMs < 2 * HOUR_MS - 1 &&
        Number(entry.decidedMs) > Date.now() - HOUR_MS
      )
        break;
    }
    await sleep(300);
  };

  it('are created, read, listed, changed, paused, resumed and deleted, on whichever replica', async () => {
    const { schedule } = await client.createSchedule({
      parent,
      scheduleId: 'nightly',
      schedule: { cron: '30 2 * * *', timeZone: 'Europe/Zurich', template },
    });
    const name = `${parent}/schedules/nightly`;
    expect(schedule).toMatchObject({ name, cron: '30 2 * * *', paused: false });
    expect(Number(schedule?.nextTime?.seconds)).toBeGreaterThan(Date.now() / 1_000);
    await expect(
      other.createSchedule({ parent, scheduleId: 'nightly', schedule: { cron: '@daily', template } }),
    ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const mask = { paths: ['cron', 'display_name'] };
    const etag = schedule?.etag ?? '';
    const change = { name, cron: '@daily', displayName: 'every night', etag };
    expect((await other.updateSchedule({ schedule: change, updateMask: mask })).schedule).toMatchObject({
      cron: '@daily',
      timeZone: 'Europe/Zurich',
      displayName: 'every night',
    });
    await expect(client.updateSchedule({ schedule: change, updateMask: mask })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect((await client.pauseSchedule({ name })).schedule).toMatchObject({ paused: true });
    expect((await client.getSchedule({ name })).schedule?.nextTime).toBeUndefined();
    expect((await other.resumeSchedule({ name })).schedule?.nextTime).toBeDefined();
    await client.createSchedule({ parent, scheduleId: 'weekly', schedule: { cron: '@weekly', template } });
    const first = await client.listSchedules({ parent, pageSize: 1 });
    expect(first.schedules.map((one) => one.name)).toEqual([name]);
    const { nextPageToken: pageToken } = first;
    const rest = await client.listSchedules({ parent, pageToken });
    expect(rest.schedules.map((one) => one.name)).toEqual([`${parent}/schedules/weekly`]);
    await client.deleteSchedule({ name });
    await expect(other.getSchedule({ name })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await client.deleteSchedule({ name: `${parent}/schedules/weekly` });
  });

  it('are refused with every violation', async () => {
    const schedule = { cron: '61 * * * FOO', timeZone: 'Mars/Olympus', startDeadline: { seconds: 0n } };
    await expect(
      client.createSchedule({ parent, scheduleId: 'Bad', schedule: { ...schedule, template: {} } }),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [
        { field: 'schedule_id' },
        { field: 'schedule.cron' },
        { field: 'schedule.cron' },
        { field: 'schedule.time_zone' },
        { field: 'schedule.start_deadline' },
        { field: 'schedule.template.graph' },
      ],
    });
  });

  it('create each missed run once, whatever the number of replicas', async () => {
    const name = await neglected(5, {
      missedRunsPolicy: MissedRunsPolicy.ALL,
      overlapPolicy: OverlapPolicy.ALLOW,
    });
    await settled(name);
    const runs = await runsOf(name);
    expect(runs).toHaveLength(5);
    expect(new Set(runs.map((run) => run.name)).size).toBe(5);
    expect(runs[0]).toMatchObject({ schedule: name, labels: { team: 'x' } });
  });

  it.each([
    [MissedRunsPolicy.SKIP, 0],
    [MissedRunsPolicy.ONE, 1],
  ])('under missed-runs policy %d create %d runs', async (missedRunsPolicy, expected) => {
    const name = await neglected(5, { missedRunsPolicy, overlapPolicy: OverlapPolicy.ALLOW });
    await settled(name);
    // The top of the hour may be on time when the test begins right after it.
    const late = (await runsOf(name)).length;
    const isOnTheHour = Date.now() % HOUR_MS < 90_000;
    expect(late === expected || (isOnTheHour && late <= expected + 1)).toBe(true);
  });

  it('count each time that nobody looked at once, also those beyond the start deadline', async () => {
    const told = async (): Promise<number> => {
      const answers = await Promise.all(services.map((one) => fetch(`http://${one.httpAddress}/metrics`)));
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      const found = texts
        .join('\n')
        .matchAll(/forge_schedule_runs_total\{[^}]*outcome="missed"[^}]*\} (\d+)/g);
      return [...found].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const before = await told();
    const name = await neglected(40, {
      startDeadline: durationFromMs(5 * HOUR_MS),
      missedRunsPolicy: MissedRunsPolicy.SKIP,
    });
    await settled(name);
    const count = (await told()) - before;
    // The top of the hour may be on time when the test begins right after it.
    expect([39, 40]).toContain(count);
  });

  it('leave out, queue or replace what would overlap', async () => {
    const missedRunsPolicy = MissedRunsPolicy.ALL;
    const [skip, queue, replace] = await Promise.all(
      [OverlapPolicy.SKIP, OverlapPolicy.QUEUE, OverlapPolicy.REPLACE].map((overlapPolicy) =>
        neglected(4, { missedRunsPolicy, overlapPolicy }),
      ),
    );
    for (const name of [skip, queue, replace]) await settled(name ?? '');
    expect(await runsOf(skip ?? '')).toHaveLength(1);
    const [first] = await runsOf(queue ?? '');
    expect(await runsOf(queue ?? '')).toHaveLength(1);
    await end(first?.name ?? '');
    await until(queue ?? '', ({ lastRun }) => lastRun !== first?.name);
    expect(await runsOf(queue ?? '')).toHaveLength(2);
    const replaced = await runsOf(replace ?? '');
    expect(replaced.length).toBeGreaterThanOrEqual(2);
  });

  it('create no run of a queued time while they are paused, and create it when they go on', async () => {
    const fields = { missedRunsPolicy: MissedRunsPolicy.ALL, overlapPolicy: OverlapPolicy.QUEUE };
    const [paused, bystander] = [await neglected(4, fields), await neglected(4, fields)];
    const lastRunOf = async (name: string) => (await client.getSchedule({ name })).schedule?.lastRun ?? '';
    for (const name of [paused, bystander]) await settled(name);
    const [first, other] = [await lastRunOf(paused), await lastRunOf(bystander)];
    await client.pauseSchedule({ name: paused });
    for (const run of [first, other]) await end(run);
    await until(bystander, ({ lastRun }) => lastRun !== other);
    await sleep(300);
    expect(await lastRunOf(paused)).toBe(first);
    expect(await runsOf(paused)).toHaveLength(1);
    await client.resumeSchedule({ name: paused });
    await until(paused, ({ lastRun }) => lastRun !== first);
    expect(await runsOf(paused)).toHaveLength(2);
  });

  it.each([OverlapPolicy.SKIP, OverlapPolicy.QUEUE, OverlapPolicy.UNSPECIFIED, OverlapPolicy.REPLACE])(
    'return the run of a request that is repeated while it, or a newer one, goes on: overlap policy %d',
    async (overlapPolicy) => {
      const name = await neglected(0.2, { cron: '0 0 1 1 *', overlapPolicy });
      const trigger = async (id: number, through = client) => {
        const requestId = `7d9f3a52-1f5d-4c8e-9a2b-00000000010${id}`;
        return (await through.triggerSchedule({ name, requestId })).run;
      };
      const first = await trigger(1);
      for (const one of [client, other]) expect(await trigger(1, one)).toBe(first);
      await end(first);
      const isEnded = async () => (await pipeline.getRun({ name: first })).run?.state === RunState.CANCELLED;
      while (!(await isEnded())) await sleep(20);
      const second = await trigger(2);
      expect(second).not.toBe(first);
      for (const one of [client, other]) expect(await trigger(1, one)).toBe(first);
      expect((await client.getSchedule({ name })).schedule?.lastRun).toBe(second);
      expect((await pipeline.getRun({ name: second })).run?.state).toBe(RunState.PENDING);
      expect(await runsOf(name)).toHaveLength(2);
    },
  );

  it('create no second run when a replica went away between creating it and saying so', async () => {
    const name = await neglected(0.2, { cron: '0 0 1 1 *', overlapPolicy: OverlapPolicy.ALLOW });
    const entry = await events.schedules.get(name);
    const once = await client.triggerSchedule({ name, requestId: '7d9f3a52-1f5d-4c8e-9a2b-000000000001' });
    // The word that says so is taken back.
    const written = await events.schedules.get(name);
    if (entry && written) await events.schedules.update(entry, written.revision);
    const again = await other.triggerSchedule({ name, requestId: '7d9f3a52-1f5d-4c8e-9a2b-000000000001' });
    expect(again.run).toBe(once.run);
    expect(await runsOf(name)).toHaveLength(1);
  });

  it('wait while their project has no room, say so, and leave the run before alone', async () => {
    const digest = `sha256:${'ab'.repeat(32)}`;
    const upload = create(ArtifactRefSchema, { digest, type: 'corpus', name: 'x', sizeBytes: 100n });
    const limits = { maxRunningRuns: 0, maxQueuedRuns: 0, maxRunningSteps: 0, weight: 0 };
    await events.uploads.put(upload, 'p');
    const name = await neglected(0.2, { cron: '0 0 1 1 *', overlapPolicy: OverlapPolicy.REPLACE });
    const { run } = await client.triggerSchedule({ name });
    const revision = await events.quotas.put('p', { ...limits, maxArtifactBytes: 100 }, 0);
    while (true) {
      try {
        await pipeline.createRun({ parent, graph: GRAPH });
      } catch (error) {
        expect(error).toMatchObject({ reason: 'QUOTA_EXCEEDED' });
        break;
      }
      await sleep(20);
    }
    await expect(client.triggerSchedule({ name })).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' });
    const entry = await events.schedules.get(name);
    if (!entry) throw new Error(`${name} is gone`);
    const schedule = create(ScheduleSchema, { ...entry.schedule, cron: '@hourly' });
    await events.schedules.update({ schedule, decidedMs: Date.now() - 3 * HOUR_MS }, entry.revision);
    const held = await until(name, ({ lastFailure }) => lastFailure !== undefined);
    expect(held).toMatchObject({
      lastFailure: { code: 'RESOURCE_EXHAUSTED', reason: 'QUOTA_EXCEEDED' },
      lastRun: run,
    });
    await sleep(200);
    expect((await client.getSchedule({ name })).schedule?.etag).toBe(held.etag);
    expect((await pipeline.getRun({ name: run })).run?.state).toBe(RunState.PENDING);
    const told = await Promise.all(services.map((one) => fetch(`http://${one.httpAddress}/metrics`)));
    const texts = await Promise.all(told.map((answer) => answer.text()));
    expect(texts.join('\n')).toMatch(/forge_schedule_runs_total\{[^}]*outcome="held"[^}]*\} 1/);
    await events.quotas.put('p', { ...limits, maxArtifactBytes: 0 }, revision);
    const fired = await until(name, ({ lastRun }) => lastRun !== run);
    expect(fired.lastFailure).toBeUndefined();
    expect((await pipeline.getRun({ name: run })).run?.state).toBe(RunState.CANCELLING);
  });

  it('are triggered by hand, unless the run before goes on and must not be overlapped', async () => {
    const name = await neglected(0.2, { cron: '0 0 1 1 *', paused: true });
    const { run } = await client.triggerSchedule({ name });
    expect((await pipeline.getRun({ name: run })).run).toMatchObject({ schedule: name });
    await expect(other.triggerSchedule({ name })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect((await client.getSchedule({ name })).schedule).toMatchObject({ lastRun: run });
  });
});
