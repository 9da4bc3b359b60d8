import { setTimeout as sleep } from 'node:timers/promises';
import {
  type EngineStatusService,
  FailureClass,
  type OrchestrationService,
  type Run,
  RunState,
  StepState,
  WaitKind,
} from '@agentforge/contracts';
import { type LedgerEntry, NO_LIMITS, type QuotaLimits } from '@agentforge/events';
import type { Client, RunningService } from '@agentforge/service-kit';
import { type Job, obedient } from './fake-worker.js';
import { Fixture, type GraphInit } from './fixture.js';

const GIB = 2 ** 30;
const step = (id: string, rest: object = {}) => ({ id, phase: 'noop', ...rest });
const many = (count: number, rest: object = {}) =>
  Array.from({ length: count }, (_, i) => step(`s${i}`, rest));

describe('resources and limits', () => {
  let fixture: Fixture;
  let client: Client<typeof OrchestrationService>;
  let status: Client<typeof EngineStatusService>;
  let service: RunningService;
  let other: RunningService;
  const adverts: NodeJS.Timeout[] = [];

  beforeAll(async () => {
    fixture = await Fixture.start();
    const env = { FORGE_LEASE_MS: '3000' };
    service = await fixture.orchestrator(env);
    other = await fixture.orchestrator(env);
    client = fixture.client(service as never);
    status = fixture.status(service as never);
    await advertise({ cpu: 4, memoryBytes: 8 * GIB });
  }, 60_000);
  afterEach(() => fixture.dismissWorkers());
  afterAll(async () => {
    for (const timer of adverts) clearInterval(timer);
    await fixture.stop();
  }, 60_000);

  const advertise = async (amounts: Partial<LedgerEntry>) => {
    const advert = {
      pool: 'host',
      worker: 'w',
      phase: 'noop',
      cpu: 0,
      memoryBytes: 0,
      gpus: 0,
      gpuMemoryBytes: 0,
    };
    const say = () => fixture.events.capacity.advertise({ ...advert, ...amounts });
    await say();
    adverts.push(setInterval(() => void say().catch(() => undefined), 3_000));
    while ((await status.listPools({})).pools.length === 0) await sleep(20);
  };
  const limit = async (project: string, limits: Partial<QuotaLimits>) => {
    const { revision } = await fixture.events.quotas.get(project);
    await fixture.events.quotas.put(project, { ...NO_LIMITS, ...limits }, revision);
    await sleep(200);
  };
  const start = (name: string, graph: GraphInit, through = client) => through.startExecution({ name, graph });
  const ledger = async () => (await fixture.events.leases.read()).entries;
  const isDone = ({ state }: Run) => state === RunState.COMPLETED;

  it('never leases more than there is, and finishes all of several runs over two replicas', async () => {
    const second = fixture.client(other as never);
    const seen: number[] = [];
    const worker = await fixture.worker(async (job: Job) => {
      seen.push((await ledger()).reduce((sum, { cpu }) => sum + cpu, 0));
      await obedient(job);
    });
    const names = [fixture.newRun(), fixture.newRun()];
    await Promise.all([
      start(names[0] ?? '', { steps: many(12, { resources: { cpu: 1.5 } }) }),
      start(names[1] ?? '', { steps: many(12, { resources: { cpu: 1 } }) }, second),
    ]);
    for (const name of names) await fixture.until(name, isDone);
    expect(worker.jobs).toHaveLength(24);
    expect(Math.max(...seen)).toBeLessThanOrEqual(4);
    expect(worker.jobs.every(({ task }) => task.lease?.pool === 'host')).toBe(true);
    for (let i = 0; i < 100 && (await ledger()).length > 0; i++) await sleep(50);
    expect(await ledger()).toEqual([]);
  });

  it('says what is missing, shows pools with their leases, and serves the higher priority first', async () => {
    const hold = fixture.newRun();
    await start(hold, { steps: [step('a', { resources: { cpu: 4 } })] });
    await fixture.until(hold, (run) => run.steps[0]?.state === StepState.RUNNING);
    const [low, high] = [fixture.newRun(), fixture.newRun()];
    await start(low, { steps: [step('a', { resources: { cpu: 3, memoryBytes: BigInt(GIB) } })] });
    await start(high, { priority: 10, steps: [step('a', { resources: { cpu: 3 } })] });
    await sleep(300);
    const { waits } = await status.explainExecutionStep({ run: low, stepId: 'a' });
    expect(waits).toMatchObject([
      {
        kind: WaitKind.RESOURCES,
        position: 2,
        missing: { cpu: 3 },
        message: expect.stringContaining('3 cores'),
      },
    ]);
    const { pools } = await status.listPools({});
    expect(pools).toMatchObject([{ name: 'host', free: { cpu: 0 }, phases: ['noop'] }]);
    expect(pools[0]?.leases).toMatchObject([{ pool: 'host', granted: { cpu: 4 } }]);
    expect((await status.getProjectUsage({ project: 'projects/p' })).leased?.cpu).toBe(4);
    await fixture.worker(obedient);
    const ended = await Promise.all([low, high].map((name) => fixture.until(name, isDone)));
    const [lowStart, highStart] = ended.map((run) => run.steps[0]?.attempts[0]?.scheduleTime);
    expect(Number(lowStart?.seconds) * 1e9 + (lowStart?.nanos ?? 0)).toBeGreaterThanOrEqual(
      Number(highStart?.seconds) * 1e9 + (highStart?.nanos ?? 0),
    );
  });

  it('gives the same reason in every replica, whichever of them looks after the run', async () => {
    const hold = fixture.newRun();
    await start(hold, { steps: [step('a', { resources: { cpu: 4 } })] });
    await fixture.until(hold, (run) => run.steps[0]?.state === StepState.RUNNING);
    const name = fixture.newRun();
    await start(name, { maxParallelSteps: 1, steps: many(2, { resources: { cpu: 2 } }) });
    const second = fixture.status(other as never);
    const kindsIn = async (replica: typeof status) =>
      (await replica.explainExecution({ run: name })).steps.map(({ stepId, waits }) => [
        stepId,
        ...waits.map(({ kind }) => WaitKind[kind]),
      ]);
    const expected = [
      ['s0', 'RESOURCES'],
      ['s1', 'RUN_LIMIT'],
    ];
    for (const replica of [status, second]) {
      const isTold = async () => JSON.stringify(await kindsIn(replica)) === JSON.stringify(expected);
      for (let i = 0; i < 100 && !(await isTold()); i++) await sleep(50);
      expect(await kindsIn(replica)).toEqual(expected);
    }
    for (const replica of [status, second]) {
      const { waits } = await replica.explainExecutionStep({ run: name, stepId: 's0' });
      expect(waits).toMatchObject([{ position: 1, missing: { cpu: 2 } }]);
    }
    await fixture.worker(obedient);
    for (const run of [hold, name]) await fixture.until(run, isDone);
  });

  it('refuses at creation what no pool could ever satisfy, with the field and the largest pool', async () => {
    const graph = { priority: 2_000, steps: [step('a', { resources: { cpu: 5, gpus: 1 } })] };
    await expect(start(fixture.newRun(), graph)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [
        { field: 'graph.priority' },
        {
          field: 'graph.steps[0].resources.cpu',
          description: expect.stringContaining('largest pool, "host", has 4 cores'),
        },
        { field: 'graph.steps[0].resources.gpus' },
      ],
    });
  });

  it('keeps leases when a replica goes, and gives back those of a run that is cancelled', async () => {
    const third = await fixture.orchestrator({ FORGE_LEASE_MS: '3000' });
    const name = fixture.newRun();
    await start(name, { steps: [step('a', { resources: { cpu: 2 } })] }, fixture.client(third));
    await fixture.until(name, (run) => run.steps[0]?.state === StepState.RUNNING);
    const [before] = await ledger();
    await third.drain('test');
    for (let i = 0; i < 200 && (await ledger())[0]?.holder === before?.holder; i++) await sleep(50);
    const [after] = await ledger();
    expect(after).toMatchObject({ id: before?.id });
    expect(after?.holder).not.toBe(before?.holder);
    await client.cancelExecution({ name });
    for (let i = 0; i < 100 && (await ledger()).length > 0; i++) await sleep(50);
    expect(await ledger()).toEqual([]);
  }, 30_000);

  it('lets as many runs of a project start as its quota allows, and refuses to queue more', async () => {
    await limit('q', { maxRunningRuns: 1, maxQueuedRuns: 2 });
    const names = ['a', 'b', 'c'].map((id) => `projects/q/runs/${id}`);
    const chain = { steps: [step('a'), step('b', { after: ['a'] })] };
    for (const name of names) {
      await start(name, chain);
      await sleep(100);
    }
    await fixture.until(names[0] ?? '', (run) => run.steps[0]?.state === StepState.RUNNING);
    expect(await status.getProjectUsage({ project: 'projects/q' })).toMatchObject({
      runningRuns: 1,
      queuedRuns: 2,
    });
    expect((await status.explainExecutionStep({ run: names[1] ?? '', stepId: 'a' })).waits).toMatchObject([
      { kind: WaitKind.PROJECT_LIMIT, message: expect.stringContaining('max_running_runs') },
    ]);
    await expect(start('projects/q/runs/d', chain)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA_EXCEEDED',
      metadata: { quota: 'max_queued_runs', limit: '2', used: '2' },
      retryAfterMs: 5_000,
    });
    await fixture.worker(obedient);
    for (const name of names) await fixture.until(name, isDone);
    expect(await status.getProjectUsage({ project: 'projects/q' })).toMatchObject({
      runningRuns: 0,
      queuedRuns: 0,
    });
  });

  it('lets a run that is retried wait for its place as a new one does, and refuses what may not even wait', async () => {
    const names = ['a', 'b', 'c', 'd'].map((id) => `projects/again/runs/${id}`);
    const [first = '', second = '', third = '', fourth = ''] = names;
    await fixture.worker(async (job) => {
      await job.start();
      const failure = { code: 'INTERNAL', message: 'broken', failureClass: FailureClass.PERMANENT };
      await job.report({ case: 'failed', value: { failure } });
    });
    for (const name of names) await start(name, { steps: [step('a')] });
    for (const name of names) await fixture.untilState(name, RunState.FAILED);
    await fixture.dismissWorkers();
    await limit('again', { maxRunningRuns: 1, maxQueuedRuns: 2 });
    const usage = () => status.getProjectUsage({ project: 'projects/again' });
    await client.retryExecution({ name: first });
    await fixture.until(first, (run) => run.steps[0]?.state === StepState.RUNNING);
    await client.retryExecution({ name: second });
    await fixture.client(other as never).retryExecution({ name: third });
    while ((await usage()).queuedRuns < 2) await sleep(20);
    expect(await usage()).toMatchObject({ runningRuns: 1, queuedRuns: 2, runningSteps: 1 });
    const refusal = client.retryExecution({ name: fourth });
    await expect(refusal).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA_EXCEEDED',
      metadata: { quota: 'max_queued_runs', limit: '2', used: '2' },
      retryAfterMs: 5_000,
    });
    const full = await fixture.orchestrator({ FORGE_LEASE_MS: '3000', FORGE_MAX_ACTIVE_RUNS: '3' });
    await expect(fixture.client(full).retryExecution({ name: fourth })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_MANY_ACTIVE_RUNS',
      retryAfterMs: 5_000,
    });
    await expect(client.retryExecution({ name: second })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    // The lease of the others is asked for within milliseconds; what waits then, waits.
    await sleep(300);
    for (const name of [second, third]) {
      const { waits } = await status.explainExecutionStep({ run: name, stepId: 'a' });
      expect(waits).toMatchObject([
        { kind: WaitKind.PROJECT_LIMIT, message: expect.stringContaining('max_running_runs') },
      ]);
    }
    await fixture.worker(obedient);
    for (const name of [first, second, third]) await fixture.until(name, isDone);
    await client.retryExecution({ name: fourth });
    await fixture.until(fourth, isDone);
    expect(await usage()).toMatchObject({ runningRuns: 0, queuedRuns: 0 });
  }, 30_000);

  it('does not touch the ledger for steps that ask for nothing', async () => {
    const before = (await fixture.events.leases.read()).revision;
    await limit('free', { maxArtifactBytes: 10, weight: 3 });
    await fixture.worker(obedient);
    const name = 'projects/free/runs/r';
    await start(name, { steps: many(50) });
    await fixture.until(name, isDone);
    expect((await fixture.events.leases.read()).revision).toBe(before);
  });
});
