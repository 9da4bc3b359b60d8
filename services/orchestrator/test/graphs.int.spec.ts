import { setTimeout as sleep } from 'node:timers/promises';
import { RunState, StartExecutionRequestSchema, StepState } from '@agentforge/contracts';
import type { AppError } from '@agentforge/errors';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { digestOfRequest } from '../src/request-digest.js';
import { type Bench, chain, startBench, step } from './bench.js';
import { obedient } from './fake-worker.js';

describe('the orchestrator accepts', () => {
  let bench: Bench;
  let fixture: Bench['fixture'];
  let client: Bench['client'];
  let begin: Bench['begin'];

  beforeAll(async () => {
    bench = await startBench();
    ({ fixture, client, begin } = bench);
  }, 60_000);
  afterEach(() => bench.clear());
  afterAll(() => bench.stop(), 60_000);

  describe('a graph', () => {
    it('runs to its end in the order of its edges', async () => {
      const worker = await fixture.worker(obedient);
      const name = await begin(chain);
      const run = await fixture.untilState(name, RunState.COMPLETED);
      expect(worker.jobs.map(({ task }) => task.stepId)).toEqual(['a', 'b']);
      expect(run.steps.map(({ state }) => state)).toEqual([StepState.COMPLETED, StepState.COMPLETED]);
      expect((await client.getExecution({ name })).run?.revision).toBe(run.revision);
    });

    it('is refused with every violation and the path of its field', async () => {
      const graph = { steps: [step('a', { phase: 'nop' }), step('b', { config: { n: 'x' }, after: ['b'] })] };
      const error: unknown = await client
        .startExecution({ name: fixture.newRun(), graph })
        .catch((e: unknown) => e);
      expect(error).toMatchObject({
        code: 'INVALID_ARGUMENT',
        fieldViolations: [
          { field: 'graph.steps[0].phase' },
          { field: 'graph.steps[1].config.n' },
          { field: 'graph.steps[1]' },
        ],
      });
      const { violations } = await client.validateGraph({ graph });
      expect(violations.map(({ field }) => field)).toEqual([
        'steps[0].phase',
        'steps[1].config.n',
        'steps[1]',
      ]);
      expect((await client.validateGraph({ graph: chain })).graph?.steps[0]?.config).toEqual({ n: 1 });
    });

    it('is refused for what its phases say as well, unless none of them is there', async () => {
      const graph = { steps: [step('a', { config: { n: 7 } }), step('b', { config: { text: 5 } })] };
      const ofSchema = { field: 'graph.steps[1].config.text', description: 'is 5; must be a string' };
      const said = 'must be even, or text must be there';
      const refuse = () =>
        client.startExecution({ name: fixture.newRun(), graph }).catch((error: AppError) => error);
      expect(await refuse()).toMatchObject({ fieldViolations: [ofSchema] });
      const name = await begin({ steps: [step('a', { config: { n: 7 } })] });
      const phase = fixture.events.configChecks.answer({ name: 'noop', version: '' }, ({ n, text }) =>
        Number(n) % 2 === 1 && text === undefined ? [{ field: 'config.n', description: said }] : [],
      );
      // The server hears of who answers a moment later.
      for (let end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
        const { violations } = await client.validateGraph({ graph });
        if (violations.length > 1) break;
      }
      expect(await refuse()).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_GRAPH',
        fieldViolations: [ofSchema, { field: 'graph.steps[0].config.n', description: said }],
      });
      await client.cancelExecution({ name });
      await fixture.untilState(name, RunState.CANCELLED);
      await expect(client.retryExecution({ name, configOverrides: { a: { n: 9 } } })).rejects.toMatchObject({
        fieldViolations: [{ field: 'config_overrides["a"].n', description: said }],
      });
      await phase.stop();
    });

    it('of a kind that cannot be executed yet is UNIMPLEMENTED', async () => {
      const graph = { steps: [{ id: 'a', kind: 2 }] };
      await expect(client.startExecution({ name: fixture.newRun(), graph })).rejects.toMatchObject({
        code: 'UNIMPLEMENTED',
      });
    });

    it('is accepted once under a name, whoever asks again', async () => {
      const name = fixture.newRun();
      const both = await Promise.all([1, 2].map(() => client.startExecution({ name, graph: chain })));
      expect(new Set(both.map(({ run }) => run?.name))).toEqual(new Set([name]));
      expect((await fixture.history(name)).filter((event) => event === 'runCreated')).toHaveLength(1);
      const other = { steps: [step('x')] };
      await expect(client.startExecution({ name, graph: other })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'RUN_EXISTS',
      });
      const asked = { name: fixture.newRun(), requestId: 'request-1' };
      await client.startExecution({ ...asked, graph: chain });
      await client.startExecution({ ...asked, graph: chain });
      await expect(client.startExecution({ ...asked, graph: other })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'REQUEST_ID_REUSED',
        fieldViolations: [{ field: 'request_id' }],
      });
      await client.cancelExecution({ name: asked.name });
      await client.cancelExecution({ name });
    });

    it('is refused while too many runs are active, with a time to come back', async () => {
      const names: string[] = [];
      const fill = async () => {
        for (let i = 0; i < 30; i++) names.push(await begin({ steps: [step('a')] }));
      };
      await expect(fill()).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        retryAfterMs: expect.any(Number),
      });
      await Promise.all(names.map((name) => client.cancelExecution({ name })));
      await fixture.worker(obedient);
    });
  });

  describe('requests that do not fit', () => {
    it('are NOT_FOUND, INVALID_ARGUMENT or FAILED_PRECONDITION', async () => {
      const name = 'projects/p/runs/none';
      for (const call of [
        client.getExecution,
        client.pauseExecution,
        client.resumeExecution,
        client.cancelExecution,
      ])
        await expect(call({ name })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(client.getExecution({ name: 'runs/../x' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      const labels = { 'Bad Key': 'x' };
      await expect(client.startExecution({ name, graph: chain, labels })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      await fixture.worker(obedient);
      const done = await begin(chain);
      await fixture.untilState(done, RunState.COMPLETED);
      await expect(client.pauseExecution({ name: done })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
      });
      await expect(client.cancelExecution({ name: done })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
      });
    });
  });

  describe('a large graph', () => {
    const text = 'x'.repeat(3_000);
    /** 400 steps of 3 kB, the later ones first: each waits for the one with the next lower number, in chains of 20. */
    const steps = Array.from({ length: 400 }, (_, i) =>
      step(`s${i}`, { config: { text }, after: i % 20 === 0 ? [] : [`s${i - 1}`] }),
    ).toReversed();

    it('is written in parts, nothing starts before all are there, and it runs to its end', async () => {
      await fixture.worker(obedient);
      const name = fixture.newRun();
      const { run } = await client.startExecution({ name, graph: { steps } });
      expect(run).toMatchObject({ stepCount: 400 });
      const done = await fixture.untilState(name, RunState.COMPLETED);
      expect(done.stepCounts).toEqual([expect.objectContaining({ state: StepState.COMPLETED, count: 400 })]);
      const history = await fixture.history(name);
      const added = history.filter((kind) => kind === 'stepsAdded').length;
      expect(added).toBeGreaterThan(1);
      expect(history.slice(0, added + 1)).toEqual([
        'runCreated',
        ...Array.from({ length: added }, () => 'stepsAdded'),
      ]);
    }, 60_000);

    it('whose creation broke off goes on with the same request', async () => {
      const name = fixture.newRun();
      const request = create(StartExecutionRequestSchema, { name, graph: { steps }, requestId: 'again' });
      const first = steps.toReversed().slice(0, 30);
      const value = {
        graph: { steps: first },
        totalSteps: 400,
        requestId: 'again',
        requestDigest: digestOfRequest(request),
      };
      const payload = { case: 'runCreated' as const, value };
      await fixture.append(name, [{ time: timestampNow(), actor: 'gone', payload }], 0n);
      await sleep(300);
      expect(await fixture.history(name)).toEqual(['runCreated']);
      const [one, two] = await Promise.all([client.startExecution(request), client.startExecution(request)]);
      for (const { run } of [one, two]) expect(run).toMatchObject({ stepCount: 400 });
      const record = await fixture.events.runs.load(name);
      expect(record?.steps.length).toBe(400);
      await client.cancelExecution({ name });
      await fixture.untilState(name, RunState.CANCELLED);
      // The first step of each chain was queued; a worker takes these tasks and is told to drop them.
      const worker = await fixture.worker(obedient);
      while (worker.jobs.length < 20) await sleep(20);
    });

    it('whose creation nobody finishes fails and says so', async () => {
      const name = fixture.newRun();
      const time = timestampFromMs(Date.now() - 120_000);
      const payload = {
        case: 'runCreated' as const,
        value: { graph: { steps: [step('a'), step('b')] }, totalSteps: 3 },
      };
      await fixture.append(name, [{ time, actor: 'gone', payload }], 0n);
      const run = await fixture.untilState(name, RunState.FAILED);
      expect(run.failure).toMatchObject({ reason: 'CREATION_INCOMPLETE' });
      expect(run.failure?.message).toContain('2 of 3 steps');
      await expect(client.retryExecution({ name })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    });

    it('is measured as it is kept, with defaults, and no step may be larger than a part', async () => {
      const small = fixture.client(await fixture.orchestrator({ FORGE_MAX_GRAPH_BYTES: '2000' }));
      // 100 steps without a word of configuration; the default of "n" alone takes more than is left.
      const graph = { steps: Array.from({ length: 100 }, (_, i) => step(`s${i}`)) };
      await expect(small.startExecution({ name: fixture.newRun(), graph })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        fieldViolations: [{ field: 'graph.steps', description: expect.stringContaining('defaults') }],
      });
      const { violations } = await client.validateGraph({
        graph: { steps: [step('a'), step('b', { config: { text: 'x'.repeat(300_000) } })] },
      });
      expect(violations).toMatchObject([{ field: 'steps[1]' }]);
    });
  });
});
