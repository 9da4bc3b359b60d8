import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@agentforge/cli';
import { PipelineService } from '@agentforge/contracts';
import { attemptIdOf } from '@agentforge/events';
import type { Client } from '@agentforge/service-kit';
import { fakeIo } from '../../packages/cli/src/testing/fake-io.js';
import {
  type FrontDoors,
  type Payload,
  parent,
  startFrontDoors,
} from '../../services/pipeline-controller/test/start-front-door.js';
import { event } from '../../services/pipeline-controller/test/stub-orchestrator.js';

const SPEC = `name: night
steps:
  - id: a
    phase: noop
    inputs:
      corpus: { file: book.txt }
`;

/** The command line against the front door as it is, with an engine that only does what the test says. */
describe('forge, against a real front door', () => {
  let doors: FrontDoors;
  let server: string;
  let client: Client<typeof PipelineService>;
  let folder: string;

  beforeAll(async () => {
    doors = await startFrontDoors();
    const service = await doors.start({ FORGE_SCHEDULE_TICK_MS: '20' });
    server = service.grpcAddress;
    client = doors.client(PipelineService, service);
    folder = await mkdtemp(join(tmpdir(), 'forge-command-line-'));
    await writeFile(join(folder, 'run.yaml'), SPEC);
    await writeFile(join(folder, 'book.txt'), 'It was the best of times.\n'.repeat(20));
  }, 60_000);
  afterAll(async () => {
    await doors.end();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  const forge = async (line: string) => {
    const io = fakeIo({ cwd: folder, env: { FORGE_SERVER: server, FORGE_PROJECT: 'p' } });
    const code = await runCommand(io, line.split(' '), '1.2.3');
    return { code, out: io.out.text, err: io.err.text };
  };

  /** Commits events of a run after whatever is there. */
  const write = async (name: string, payloads: readonly Payload[]) => {
    const { runs } = doors.events;
    await runs.append(name, payloads.map(event), await runs.revisionOf(name));
  };

  it('keeps a schedule, shows it, lets it fire, and removes it', async () => {
    const name = `${parent}/schedules/nightly`;
    const bytes = 26 * 20;
    const created = await forge(
      'schedule create -f run.yaml --cron @yearly --time-zone Europe/Berlin nightly',
    );
    expect(created.err).toBe('');
    expect(created.out).toContain(`created ${name} next: `);
    expect(JSON.parse((await forge('quota get -o json')).out)).toMatchObject({
      usage: { artifactBytes: String(bytes) },
    });
    const refused = await forge('schedule create -f run.yaml --cron @often wrong');
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--cron:')]);
    const shown = await forge('schedule get nightly');
    expect(shown.out).toMatch(/cron +@yearly \(Europe\/Berlin\)\n/);
    expect(shown.out).toMatch(/next +\d{4}-12-31T23:00:00.000Z \(\d{4}-01-01 00:00 Europe\/Berlin\)\n/);
    const triggered = await forge('schedule trigger nightly -o name');
    expect(triggered.out).toMatch(/^projects\/p\/runs\/\S+\n$/);
    const { run } = await client.getRun({ name: triggered.out.trim() });
    expect(run).toMatchObject({ schedule: name, displayName: 'night' });
    expect((await forge('schedule get nightly')).out).toContain(
      triggered.out.trim().split('/').at(-1) ?? 'nothing',
    );
    expect((await forge('schedule trigger nightly')).err).toContain('allows no other (FAILED_PRECONDITION)');
    expect((await forge('schedule pause nightly')).out).toBe(`paused ${name} next: – (paused)\n`);
    expect((await forge('schedule list --paused -o name')).out).toBe(`${name}\n`);
    expect((await forge('schedule update nightly --cron @hourly --overlap allow')).code).toBe(0);
    expect((await forge('schedule resume nightly')).out).toMatch(/next: \d{4}-\S+:00:00\.000Z/);
    expect((await forge('schedule delete nightly')).out).toBe(`deleted ${name}\n`);
    expect((await forge('schedule get nightly')).err).toContain('NOT_FOUND');
  }, 60_000);

  it('shows, lists and watches a run of 10,000 steps that is larger than a message', async () => {
    const steps = Array.from({ length: 10_000 }, (_, i) => ({
      id: `s${i}`,
      phase: i % 2 ? 'odd' : 'even',
      config: { text: 'x'.repeat(600) },
    }));
    const { run } = await client.createRun({ parent, runId: 'big', graph: { steps: steps.slice(0, 1_000) } });
    const name = run?.name ?? '';
    for (let at = 1_000; at < steps.length; at += 1_000)
      await write(name, [{ case: 'stepsAdded', value: { steps: steps.slice(at, at + 1_000) } }]);
    const failure = { code: 'INTERNAL', message: 'it broke', reason: '' };
    const failed = steps.slice(5_000, 5_050).flatMap(({ id: stepId }): Payload[] => {
      const attemptId = attemptIdOf(name, stepId, 1);
      return [
        { case: 'stepReady', value: { stepId } },
        { case: 'stepScheduled', value: { stepId, attemptId, number: 1, fencingToken: 1n } },
        { case: 'stepStarted', value: { stepId, attemptId, worker: 'w' } },
        { case: 'stepAttemptFailed', value: { stepId, attemptId, failure } },
        { case: 'stepFailed', value: { stepId, failure } },
      ];
    });
    await write(name, failed);

    const shown = await forge('run get big');
    expect([shown.code, shown.err]).toEqual([0, '']);
    expect(shown.out).toMatch(/10,000 steps\n +PENDING +9,950\n +FAILED +50\n/);
    expect((await forge('run list --limit 5')).out).toMatch(/p\/big .* 0\/10000 +0 %/);
    const ids = (await forge('run steps big -o name')).out.trimEnd().split('\n');
    expect(ids).toEqual(steps.map(({ id }) => id));
    const listed = await forge('run steps big --state FAILED --phase odd --page-size 4 -o name');
    expect(listed.out.trimEnd().split('\n')).toHaveLength(25);

    const watching = forge('run watch big');
    await write(name, [{ case: 'runCancelRequested', value: { reason: 'enough' } }]);
    const rest = steps.filter((_, i) => i < 5_000 || i >= 5_050);
    for (let at = 0; at < rest.length; at += 1_000)
      await write(
        name,
        rest
          .slice(at, at + 1_000)
          .map(({ id }): Payload => ({ case: 'stepCancelled', value: { stepId: id } })),
      );
    await write(name, [{ case: 'runCancelled', value: {} }]);
    const watched = await watching;
    expect([watched.code, watched.err]).toEqual([1, expect.stringContaining('ended as CANCELLED')]);
    expect(watched.out).toMatch(/CANCELLED +9,950\n/);
  }, 120_000);
});
