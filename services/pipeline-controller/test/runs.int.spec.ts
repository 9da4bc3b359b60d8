import { setTimeout as sleep } from 'node:timers/promises';
import { PhaseDescriptorSchema, PipelineService, RunState, StepState, WaitKind } from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import { publishRaw } from '@agentforge/events/testing';
import type { Client } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { complete, type FrontDoors, GRAPH, parent, startFrontDoors, watched } from './start-front-door.js';
import { commit, engineStatus } from './stub-orchestrator.js';

describe('runs of the front door', () => {
  let doors: FrontDoors;
  let events: Events;
  let client: Client<typeof PipelineService>;

  beforeAll(async () => {
    doors = await startFrontDoors();
    events = doors.events;
    const service = await doors.start();
    client = doors.client(PipelineService, service);
  }, 60_000);
  afterAll(() => doors.end(), 60_000);

  const createRun = async (over: object = {}): Promise<string> => {
    const { run } = await client.createRun({ parent, graph: GRAPH, ...over });
    return run?.name ?? '';
  };

  describe('CreateRun', () => {
    it('chooses an id, and the run is in lists at once', async () => {
      const name = await createRun({ parent: 'projects/fresh', displayName: 'x' });
      expect(name).toMatch(/^projects\/fresh\/runs\/run-[a-z0-9]{17}$/);
      const { runs } = await client.listRuns({ parent: 'projects/fresh' });
      expect(runs.map((run) => run.name)).toEqual([name]);
    });

    it('takes the id of the caller, and returns the same run for the same request id', async () => {
      expect(await createRun({ runId: 'mine' })).toBe('projects/p/runs/mine');
      const requestId = '6f2c1d1e-0000-4000-8000-000000000001';
      const both = await Promise.all([createRun({ requestId }), createRun({ requestId })]);
      expect(both[0]).toBe(both[1]);
      await expect(createRun({ requestId, runId: 'other' })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
    });

    it('holds a request id for one run over several replicas, unless that run was refused', async () => {
      const second = await doors.start();
      const other = doors.client(PipelineService, second);
      const asks = (through: typeof client, requestId: string, runId: string) =>
        through.createRun({ parent, graph: GRAPH, requestId, runId });
      for (let i = 0; i < 5; i++) {
        const both = await Promise.allSettled([
          asks(client, `race-${i}`, `race-a${i}`),
          asks(other, `race-${i}`, `race-b${i}`),
        ]);
        const refused = both.filter((one) => one.status === 'rejected');
        const names = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value.run?.name ?? ''] : []));
        expect(names).toHaveLength(1);
        for (const { reason } of refused) expect(reason).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
      }
      await asks(client, 'once', 'once-a');
      await expect(asks(other, 'once', 'once-b')).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'REQUEST_ID_REUSED',
      });
      expect((await asks(other, 'once', '')).run?.name).toBe('projects/p/runs/once-a');
      const wrong = { parent, requestId: 'corrected', runId: 'wrong', displayName: 'refuse' };
      await expect(client.createRun({ ...wrong, graph: GRAPH })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      expect((await asks(other, 'corrected', 'right')).run?.name).toBe('projects/p/runs/right');
      await doors.stop(second);
    });

    it('refuses malformed names', async () => {
      await expect(createRun({ parent: 'p' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(createRun({ parent: 'projects/-' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(createRun({ runId: '../x' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        fieldViolations: [{ field: 'run_id' }],
      });
    });
  });

  it('shows a run whose log is damaged as it was before, with the reason', async () => {
    const name = await createRun();
    const subject = `forge.runs.p.${name.split('/').at(-1)}`;
    await publishRaw(doors.natsUrl, { subject, data: Buffer.from([0xff, 0xff]) });
    const shown = async () => (await client.getRun({ name })).run;
    while (!(await shown())?.quarantine) await sleep(20);
    expect(await shown()).toMatchObject({
      state: RunState.PENDING,
      quarantine: { code: 'DATA_LOSS', reason: 'EVENT_LOG_CORRUPT' },
    });
    expect(await watched(client, { name }).catch((error: unknown) => error)).toMatchObject({
      code: 'DATA_LOSS',
    });
    const page = await client.listRunEvents({ name });
    expect(page.events.map(({ payload }) => payload.case)).toEqual(['runCreated']);
  });

  it('passes specifications, commands and their refusals on', async () => {
    expect((await client.validateRunSpec({})).violations).toHaveLength(1);
    expect((await client.validateRunSpec({ graph: GRAPH })).graph?.steps).toHaveLength(1);
    const name = await createRun();
    expect((await client.pauseRun({ name })).run?.state).toBe(RunState.PAUSED);
    expect((await client.getRun({ name })).run?.state).toBe(RunState.PAUSED);
    expect((await client.resumeRun({ name })).run?.state).toBe(RunState.PENDING);
    await expect(client.cancelRun({ name, reason: 'refuse' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    expect((await client.cancelRun({ name })).run?.state).toBe(RunState.CANCELLING);
    await expect(client.getRun({ name: 'projects/p/runs/none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(client.pauseRun({ name: 'x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  describe('ListRuns', () => {
    const project = 'projects/lists';
    const names: string[] = [];

    beforeAll(async () => {
      for (let i = 0; i < 7; i++)
        names.push(
          await createRun({
            parent: project,
            displayName: `run ${i}`,
            labels: { parity: i % 2 ? 'odd' : 'even' },
          }),
        );
      const done = names[3] ?? '';
      await commit(events, done, complete(done));
      for (let i = 0; i < 200 && (await client.getRun({ name: done })).run?.state !== RunState.COMPLETED; i++)
        await sleep(10);
    });

    const pages = async (request: object): Promise<string[]> => {
      const seen: string[] = [];
      for (let pageToken = ''; ; ) {
        const page = await client.listRuns({ parent: project, pageSize: 3, ...request, pageToken });
        expect(page.runs.length).toBeLessThanOrEqual(3);
        seen.push(...page.runs.map((run) => run.name));
        if (page.nextPageToken === '') return seen;
        pageToken = page.nextPageToken;
      }
    };

    it('pages through all runs, newest first or oldest first', async () => {
      expect(await pages({})).toEqual([...names].reverse());
      expect(await pages({ orderBy: 'create_time' })).toEqual(names);
    });

    it('filters by state, name, phase, labels and time', async () => {
      expect(await pages({ filter: 'state = COMPLETED' })).toEqual([names[3]]);
      expect(await pages({ filter: 'labels.parity = odd AND phase = noop' })).toHaveLength(3);
      expect(await pages({ filter: 'display_name : "6"' })).toEqual([names[6]]);
      expect(await pages({ filter: 'create_time > "2020-01-01T00:00:00Z"' })).toHaveLength(7);
      expect(await pages({ filter: 'phase = bitnet' })).toEqual([]);
    });

    it('filters by outcome and by when runs started and ended, and orders by the end', async () => {
      expect(await pages({ filter: 'outcome = COMPLETED' })).toEqual([names[3]]);
      expect(await pages({ filter: 'outcome = NONE' })).toHaveLength(6);
      expect(await pages({ filter: 'end_time > "2020-01-01T00:00:00Z"' })).toEqual([names[3]]);
      expect(await pages({ filter: 'end_time < "2020-01-01T00:00:00Z"' })).toEqual([]);
      expect(await pages({ filter: 'start_time > "2020-01-01T00:00:00Z"' })).toEqual([names[3]]);
      const goingOn = names.filter((name) => name !== names[3]);
      expect(await pages({ orderBy: 'end_time' })).toEqual([names[3], ...goingOn]);
      expect(await pages({ orderBy: 'end_time desc' })).toEqual([...goingOn.reverse(), names[3]]);
    });

    it('lists all projects under "-", and counts of their steps only', async () => {
      const { runs } = await client.listRuns({ parent: 'projects/-', filter: 'state = COMPLETED' });
      expect(runs.map((run) => run.name)).toContain(names[3]);
      expect(runs[0]).toMatchObject({
        steps: [],
        stepCount: 1,
        stepCounts: [{ state: StepState.COMPLETED, count: 1 }],
      });
      expect(runs[0]?.graph).toBeUndefined();
    });

    it('refuses page sizes, tokens, filters and orders that make no sense', async () => {
      const { nextPageToken } = await client.listRuns({ parent: project, pageSize: 1 });
      for (const request of [
        { pageSize: -1 },
        { pageSize: 1_001 },
        { pageToken: 'made-up' },
        { pageToken: nextPageToken, filter: 'state = FAILED' },
        { filter: 'state' },
        { orderBy: 'name' },
      ])
        await expect(client.listRuns({ parent: project, ...request })).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
    });
  });

  it('says why steps wait, and shows a run also while the engine says nothing', async () => {
    const name = await createRun();
    engineStatus.waits = [{ kind: WaitKind.QUEUED_BEHIND, message: 'behind others', position: 3 }];
    const { run } = await client.getRun({ name });
    expect(run?.steps[0]?.waits).toMatchObject([{ kind: WaitKind.QUEUED_BEHIND, position: 3 }]);
    const { waits } = await client.explainStep({ run: name, stepId: 'a' });
    expect(waits).toMatchObject([{ message: 'behind others' }]);
    const listed = async () => (await client.listSteps({ parent: name })).steps[0];
    expect((await listed())?.waits).toEqual([]);
    await commit(events, name, [{ case: 'stepReady', value: { stepId: 'a' } }]);
    while ((await listed())?.state !== StepState.READY) await sleep(20);
    expect((await listed())?.waits).toMatchObject([{ kind: WaitKind.QUEUED_BEHIND, position: 3 }]);
    let release: () => void = () => undefined;
    engineStatus.held = new Promise((resolve) => {
      release = resolve;
    });
    const before = Date.now();
    expect((await client.getRun({ name })).run?.steps[0]?.waits).toEqual([]);
    expect(Date.now() - before).toBeLessThan(10_000);
    release();
    engineStatus.waits = [];
    expect((await client.getRun({ name })).run?.steps[0]?.waits).toEqual([]);
    await expect(client.explainStep({ run: 'a', stepId: 'a' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [{ field: 'run' }],
    });
    await expect(client.explainStep({ run: name, stepId: 'z' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }, 30_000);

  it('lists and describes phases, and names them when one is unknown', async () => {
    await events.phases.put(create(PhaseDescriptorSchema, { name: 'noop', version: '1' }));
    await events.phases.put(create(PhaseDescriptorSchema, { name: 'cognate', version: '2' }));
    expect((await client.listPhases({})).phases.map(({ name }) => name)).toEqual(['cognate', 'noop']);
    expect((await client.getPhase({ phase: 'noop' })).phase?.version).toBe('1');
    await expect(client.getPhase({ phase: 'nop' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('cognate, noop'),
    });
  });
});
