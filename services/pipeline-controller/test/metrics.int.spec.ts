import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineService } from '@agentforge/contracts';
import { complete, type FrontDoors, GRAPH, parent, startFrontDoors } from './start-front-door.js';
import { commit } from './stub-orchestrator.js';

describe('the metrics of the front door', () => {
  let doors: FrontDoors;
  beforeAll(async () => {
    doors = await startFrontDoors();
  }, 60_000);
  afterAll(() => doors.end(), 60_000);

  it('tell runs by state, letters that nobody took care of, and how old the snapshot is', async () => {
    const { events } = doors;
    const service = await doors.start({ FORGE_SNAPSHOT_INTERVAL_MS: '100' });
    const client = doors.client(PipelineService, service);
    for (const runId of ['waits', 'ends']) await client.createRun({ parent, runId, graph: GRAPH });
    await commit(events, `${parent}/runs/ends`, complete(`${parent}/runs/ends`));
    const letter = {
      origin: 'reports',
      reason: 'RUN_UNKNOWN',
      message: 'there is no run',
      data: Buffer.from('x'),
    };
    for (const phase of ['a', 'b'])
      await events.deadLetters.put({ ...letter, subject: `forge.reports.${phase}` });

    const values = async () => {
      const text = await (await fetch(`http://${service.httpAddress}/metrics`)).text();
      return new Map(
        [...text.matchAll(/^(forge_\w+{[^}]*}) (\S+)$/gm)].map(([, series = '', value]) => [
          series.replace(/,?forge_service="[^"]*"/, ''),
          Number(value),
        ]),
      );
    };
    let seen = await values();
    while (!seen.has('forge_snapshot_age_seconds{}')) {
      await sleep(50);
      seen = await values();
    }
    expect(seen.get('forge_snapshot_age_seconds{}')).toBeGreaterThanOrEqual(0);
    expect(seen.get('forge_snapshot_age_seconds{}')).toBeLessThan(60);
    expect(Object.fromEntries(seen)).toMatchObject({
      'forge_runs_active{state="PENDING"}': 1,
      'forge_runs_active{state="COMPLETED"}': 1,
      'forge_dead_letters_present{stream="tasks"}': 0,
      'forge_dead_letters_present{stream="reports"}': 2,
    });
  }, 60_000);
});
