import { PipelineService, RunView, StepState } from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import type { Client } from '@agentforge/service-kit';
import { type FrontDoors, GRAPH, parent, startFrontDoors } from './start-front-door.js';
import { commit } from './stub-orchestrator.js';

describe('a large graph at the front door', () => {
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

  const steps = Array.from({ length: 2_500 }, (_, i) => ({
    id: `s${i}`,
    phase: i % 5 === 0 ? 'fifth' : 'noop',
    config: { text: 'x'.repeat(100) },
  }));

  it('GetRun gives what fits, BASIC no steps, and WatchRun begins with no more', async () => {
    const name = await createRun({ graph: { steps } });
    const full = (await client.getRun({ name })).run;
    expect(full).toMatchObject({ stepCount: 2_500 });
    expect(full?.steps).toHaveLength(1_000);
    expect(full?.graph?.steps.map(({ id }) => id)).toEqual(full?.steps.map(({ spec }) => spec?.id));
    const basic = (await client.getRun({ name, view: RunView.BASIC })).run;
    expect(basic).toMatchObject({
      name,
      steps: [],
      revision: full?.revision,
      stepCounts: [{ state: StepState.PENDING, count: 2_500 }],
    });
    for await (const { update } of client.watchRun({ name })) {
      expect(update.case === 'run' && update.value.steps).toHaveLength(1_000);
      break;
    }
  });

  it('GetRun and ListSteps stay below the size of a message, however large the steps are', async () => {
    const large = Array.from({ length: 40 }, (_, i) => ({
      id: `s${i}`,
      phase: 'noop',
      config: { text: 'x'.repeat(90_000) },
    }));
    const name = await createRun({ graph: { steps: large.slice(0, 8) } });
    for (let at = 8; at < large.length; at += 8)
      await commit(events, name, [{ case: 'stepsAdded', value: { steps: large.slice(at, at + 8) } }]);
    const full = (await client.getRun({ name })).run;
    expect(full).toMatchObject({ stepCount: 40 });
    expect(full?.steps.length).toBeLessThan(40);
    expect(await idsOf(name, { pageSize: 1_000 })).toEqual(large.map(({ id }) => id));
  });

  it('ListSteps pages through all, and filters by state and phase', async () => {
    const name = await createRun({ graph: { steps } });
    expect(await idsOf(name, { pageSize: 1_000 })).toEqual(steps.map(({ id }) => id));
    const fifths = steps.filter(({ phase }) => phase === 'fifth').map(({ id }) => id);
    expect(await idsOf(name, { filter: 'phase = fifth AND state = PENDING' })).toEqual(fifths);
    expect(await idsOf(name, { filter: 'state = FAILED' })).toEqual([]);
    const page = await client.listSteps({ parent: name });
    expect(page.steps).toHaveLength(100);
    expect(page.revision).toBe((await client.getRun({ name })).run?.revision);
    for (const bad of [{ pageSize: 1_001 }, { filter: 'id = x' }, { pageToken: 'x' }])
      await expect(client.listSteps({ parent: name, ...bad })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    await expect(client.listSteps({ parent: 'projects/p/runs/none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  const idsOf = async (parent: string, request: object): Promise<(string | undefined)[]> => {
    const ids: (string | undefined)[] = [];
    for (let pageToken = ''; ; ) {
      const page = await client.listSteps({ parent, pageToken, ...request });
      ids.push(...page.steps.map(({ spec }) => spec?.id));
      if (page.nextPageToken === '') return ids;
      pageToken = page.nextPageToken;
    }
  };
});
