import { MissedRunsPolicy, OverlapPolicy, RunSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { completedRun } from '../src/testing/sample-run.js';
import { forgeOnFake } from './forge-on-fake.js';

const SPEC = `name: test
labels: { team: search }
seed: 3
steps:
  - id: founders
    phase: cognate
    inputs:
      corpus: { file: book.txt }
`;
const NIGHTLY = 'projects/default/schedules/nightly';
const CREATE = ['create', '-f', 'run.yaml', '--cron', '0 3 * * *'];

const { forge, state } = forgeOnFake({ 'run.yaml': SPEC });

/** Runs `forge schedule …`. */
const schedule = (args: readonly string[], stdin = '') => forge(['schedule', ...args], { stdin });

describe('forge schedule create', () => {
  it('uploads files, sends the calendar and the graph, and says when it runs next', async () => {
    const options = ['--time-zone', 'Europe/Berlin', '--missed', 'skip', '--overlap', 'queue'];
    const more = ['--start-deadline', '1h30m', '--name', 'Every night', '--set', 'seed=4', 'nightly'];
    const { code, out, err } = await schedule([...CREATE, ...options, ...more]);
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(`created ${NIGHTLY} next: 2026-11-22T10:00:00.000Z (2026-11-22 11:00 Europe/Berlin)\n`);
    const kept = state().schedules.find(NIGHTLY);
    expect(kept).toMatchObject({
      cron: '0 3 * * *',
      timeZone: 'Europe/Berlin',
      displayName: 'Every night',
      missedRunsPolicy: MissedRunsPolicy.SKIP,
      overlapPolicy: OverlapPolicy.QUEUE,
      startDeadline: { seconds: 5_400n },
      paused: false,
      template: { displayName: 'test', labels: { team: 'search' }, graph: { seed: 4n } },
    });
    const [digest] = state().contents.keys();
    expect(kept.template?.graph?.steps[0]?.inputs[0]?.source).toMatchObject({
      value: { refs: [{ digest }] },
    });
    expect((await schedule([...CREATE, 'nightly'])).code).toBe(1);
  });

  it('leaves to the server what is not said, and says that a run id is left out', async () => {
    const stdin = `run: once\nproject: search\n${SPEC}`;
    const { code, out, err } = await schedule(
      ['create', '-f', '-', '--cron', '@daily', '--paused', 'n', '-o', 'json'],
      stdin,
    );
    expect(code).toBe(0);
    expect(err).toMatch(/"run: once" is left out/);
    const value = JSON.parse(out);
    expect(value).toMatchObject({ name: 'projects/search/schedules/n', cron: '@daily', paused: true });
    for (const field of ['missedRunsPolicy', 'overlapPolicy', 'startDeadline', 'nextTime'])
      expect(value).not.toHaveProperty(field);
  });

  it('shows every problem: of the file at its place, of options by their names', async () => {
    const cron = { field: 'schedule.cron', description: 'has 1 fields; must be five' };
    const phase = { field: 'schedule.template.graph.steps[0].phase', description: 'is no phase' };
    const labels = { field: 'schedule.template.labels', description: 'are more than 63' };
    state().schedules.violations = [cron, phase, labels];
    const both = await schedule([...CREATE, 'nightly']);
    expect(both.code).toBe(2);
    expect(both.err).toContain('--cron: error: has 1 fields');
    expect(both.err).toContain('run.yaml:6:12: error: steps[0].phase: is no phase');
    expect(both.err).toMatch(/run\.yaml:2:\d+: error: labels: are more than 63/);
    state().schedules.violations = [cron, { field: 'schedule_id', description: 'must be 1 to 63' }];
    const options = await schedule([...CREATE, 'Nightly']);
    expect(options.code).toBe(2);
    expect(options.err).toBe(
      'error: the schedule is not valid\n  --cron: has 1 fields; must be five\n  NAME: must be 1 to 63\n',
    );
    expect(state().schedules.kept.size).toBe(0);
  });

  it.each([
    [['create', '-f', 'run.yaml', 'x'], /required option '--cron <cron>'/],
    [['create', '--cron', '@daily', 'x'], /required option '-f, --file <file>'/],
    [[...CREATE], /missing required argument 'name'/],
    [[...CREATE, '--missed', 'none', 'x'], /Allowed choices are skip, one, all/],
    [[...CREATE, '--overlap', 'none', 'x'], /Allowed choices are skip, allow, queue, replace/],
    [[...CREATE, '--start-deadline', 'soon', 'x'], /--start-deadline soon: expected a duration/],
    [['create', '-f', 'none.yaml', '--cron', '@daily', 'x'], /cannot read none\.yaml: no such file/],
    [['update', 'nightly'], /name at least one thing to change/],
    [['update', 'nightly', '--set', 'seed=1'], /name it with --file/],
  ])('%j is wrong usage, exit code 2', async (args, message) => {
    const { code, err } = await schedule(args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});

describe('forge schedule list and get', () => {
  it('list pages and filters', async () => {
    expect((await schedule(['list'])).out).toBe('no schedules\n');
    for (const id of ['a', 'b', 'c']) await schedule([...CREATE, id]);
    await schedule(['pause', 'b']);
    const { out } = await schedule(['list']);
    expect(out).toMatch(/^SCHEDULE +NAME +CRON +TIME ZONE +STATE +NEXT +LAST\n/);
    expect(out).toMatch(/default\/a +0 3 \* \* \* +UTC +active +2026-11-22T10:00:00.000Z +–/);
    expect(out).toMatch(/default\/b .* paused +– +–/);
    const names = await schedule(['list', '--limit', '3', '--all-projects', '--paused', '-o', 'name']);
    expect(names.out.trimEnd().split('\n')).toEqual(
      ['a', 'b', 'c'].map((id) => `${NIGHTLY.slice(0, -7)}${id}`),
    );
    expect(state().schedules.lastFilter).toBe('paused = true');
    await schedule(['list', '--paused', '--filter', 'display_name = "x"']);
    expect(state().schedules.lastFilter).toBe('paused = true AND display_name = "x"');
    expect(JSON.parse((await schedule(['list', '--limit', '1', '-o', 'json'])).out)).toHaveLength(1);
  });

  it('get shows the next time, the policies, the last failure, and only its own runs', async () => {
    await schedule([...CREATE, '--time-zone', 'America/New_York', 'nightly']);
    const kept = state().schedules.find(NIGHTLY);
    const violation = { field: 'steps[0].config', description: 'has no field "x"' };
    state().schedules.keep({
      ...kept,
      lastFailure: {
        $typeName: 'agentforge.failure.v1.Failure',
        ...{ code: 'INVALID_ARGUMENT', message: 'the graph is not valid', reason: '', failureClass: 0 },
        fieldViolations: [{ $typeName: 'agentforge.failure.v1.FieldViolation', ...violation }],
      },
    });
    const { $typeName: _, ...own } = completedRun('projects/default/runs/own');
    state().runs.set(own.name, create(RunSchema, { ...own, schedule: NIGHTLY }));
    const { code, out } = await schedule(['get', 'nightly']);
    expect(code).toBe(0);
    expect(state().lastFilter).toBe('labels.schedule = "nightly"');
    expect(out).toMatch(/state +failing\n/);
    expect(out).toMatch(/cron +0 3 \* \* \* \(America\/New_York\)\n/);
    expect(out).toMatch(/next +2026-11-22T10:00:00.000Z \(2026-11-22 05:00 America\/New_York\)\n/);
    expect(out).toMatch(
      /next .*\n +2026-11-23T10:00:00.000Z \(2026-11-23 05:00 America\/New_York\)\n( +2026-11-2\d.*\n){3}last/,
    );
    expect(out).toMatch(/missed +one, at most 1h 00m late\noverlap +skip\nsteps +founders\n/);
    expect(out).toContain('the graph is not valid (INVALID_ARGUMENT)\n  steps[0].config: has no field "x"');
    expect(out).toMatch(/default\/own +demo +COMPLETED/);
    expect(out).not.toContain('default/demo ');
    expect(JSON.parse((await schedule(['get', NIGHTLY, '-o', 'json'])).out)).toMatchObject({
      name: NIGHTLY,
      nextTime: '2026-11-22T10:00:00Z',
      runs: [{ name: own.name }],
    });
  });

  it('get of an unknown schedule exits with 1 and says so', async () => {
    const { code, err } = await schedule(['get', 'nobody']);
    expect(code).toBe(1);
    expect(err).toContain('there is no schedule "projects/default/schedules/nobody" (NOT_FOUND)');
  });
});

describe('forge schedule pause, resume, update, trigger, delete', () => {
  beforeEach(() => schedule([...CREATE, 'nightly']));

  it('pause and resume', async () => {
    expect((await schedule(['pause', 'nightly'])).out).toBe(`paused ${NIGHTLY} next: – (paused)\n`);
    expect(state().schedules.find(NIGHTLY).paused).toBe(true);
    expect((await schedule(['resume', 'nightly'])).out).toContain('next: 2026-11-22T10:00:00.000Z');
    expect(state().schedules.find(NIGHTLY).paused).toBe(false);
  });

  it('update sends only what is named', async () => {
    expect((await schedule(['update', 'nightly', '--cron', '@hourly', '--overlap', 'replace'])).code).toBe(0);
    await schedule(['update', 'nightly', '-f', 'run.yaml', '--set', 'seed=9', '--start-deadline', '2d']);
    const [first, second] = state().schedules.updates;
    expect(first).toMatchObject({
      schedule: { name: NIGHTLY, cron: '@hourly', overlapPolicy: OverlapPolicy.REPLACE },
      updateMask: { paths: ['cron', 'overlap_policy'] },
    });
    expect(second).toMatchObject({
      schedule: { template: { graph: { seed: 9n } }, startDeadline: { seconds: 172_800n } },
      updateMask: { paths: ['template', 'start_deadline'] },
    });
    state().schedules.violations = [
      { field: 'schedule.template.graph.steps[0].config', description: 'is no longer valid' },
    ];
    const refused = await schedule(['update', 'nightly', '--cron', '@daily']);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('schedule.template.graph.steps[0].config: is no longer valid');
  });

  it('trigger prints the run, or waits for it', async () => {
    expect((await schedule(['trigger', 'nightly'])).out).toBe('created projects/default/runs/demo\n');
    expect(state().schedules.calls[0]).toMatch(/^trigger \S+nightly [0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect((await schedule(['trigger', 'nightly', '-o', 'json'])).out).toMatch(/"run": "projects\/default/);
    state().ending = 'failed';
    const waited = await schedule(['trigger', 'nightly', '--wait', '-o', 'name']);
    expect([waited.code, waited.out]).toEqual([1, 'projects/default/runs/demo\n']);
    state().schedules.activeRun = 'projects/default/runs/before';
    const refused = await schedule(['trigger', 'nightly']);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/runs\/before" of .* goes on \(FAILED_PRECONDITION\)/);
  });

  it('delete', async () => {
    expect((await schedule(['delete', 'nightly'])).out).toBe(`deleted ${NIGHTLY}\n`);
    expect(state().schedules.kept.size).toBe(0);
    expect((await schedule(['delete', 'nightly'])).code).toBe(1);
  });

  it('names are completed', async () => {
    const completed = await forge('__complete -- schedule get n');
    expect([completed.code, completed.out]).toEqual([0, 'nightly\n']);
  });
});
