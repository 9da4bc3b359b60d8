import { setTimeout as sleep } from 'node:timers/promises';
import {
  BreakerState,
  EngineStatusService,
  type OrchestrationService,
  PhaseDescriptorSchema,
  RunState,
  StartExecutionRequestSchema,
  StepReportSchema,
  StepState,
  TaskAction,
  WaitKind,
} from '@agentforge/contracts';
import { attemptIdOf, STREAMS } from '@agentforge/events';
import { forgetMessageIds, publishRaw } from '@agentforge/events/testing';
import { type Client, createClient } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { OPEN_RUNS_VERSION } from '../src/engine/open-runs.js';
import { digestOfRequest } from '../src/request-digest.js';
import { FakeWorker, type Job, obedient } from './fake-worker.js';
import { Fixture, type GraphInit } from './fixture.js';
import { judgements } from './stub-validators.js';

const DIGEST = `sha256:${'0'.repeat(64)}`;
const quick = { maxAttempts: 3, initialInterval: durationFromMs(20), jitter: 0 };
const step = (id: string, rest: object = {}) => ({ id, phase: 'noop', ...rest });
const chain: GraphInit = { steps: [step('a'), step('b', { after: ['a'] })] };
const forever = async (job: Job): Promise<void> => {
  await job.start();
  while (job.pushed.length === 0) await sleep(20);
};

describe('orchestrator', () => {
  let fixture: Fixture;
  let client: Client<typeof OrchestrationService>;

  beforeAll(async () => {
    fixture = await Fixture.start();
    client = fixture.client(await fixture.orchestrator({ FORGE_MAX_ACTIVE_RUNS: '20' }));
  }, 60_000);
  afterEach(async () => {
    await fixture.dismissWorkers();
    Object.assign(judgements, {
      refuseInputs: '',
      refuseOutputs: '',
      unavailable: 0,
      inputCalls: 0,
      outputCalls: 0,
    });
  });
  afterAll(() => fixture.stop(), 60_000);

  /** Starts a run under a new name. */
  const begin = async (graph: GraphInit): Promise<string> => {
    const name = fixture.newRun();
    await client.startExecution({ name, graph });
    return name;
  };

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

  describe('failures', () => {
    it('are tried again with a new token until an attempt succeeds', async () => {
      const worker = await fixture.worker(async (job) => {
        await job.start();
        if (job.task.attemptNumber === 3) return job.succeed();
        const failure = { code: 'UNAVAILABLE', message: 'not yet', failureClass: 1 };
        return job.report({ case: 'failed', value: { failure } });
      });
      const name = await begin({ steps: [step('a', { retry: quick })] });
      await fixture.untilState(name, RunState.COMPLETED);
      expect(worker.jobs.map(({ task }) => task.fencingToken)).toEqual([1n, 2n, 3n]);
    });

    it('for good block what depends on them and fail the run', async () => {
      await fixture.worker(async (job) => {
        await job.start();
        if (job.task.stepId === 'x') return job.succeed();
        const failure = { code: 'INVALID_ARGUMENT', message: 'bad corpus', failureClass: 2 };
        return job.report({ case: 'failed', value: { failure } });
      });
      const name = await begin({ steps: [...(chain.steps ?? []), step('x')] });
      const run = await fixture.untilState(name, RunState.FAILED);
      expect(run.steps.map(({ state }) => state)).toEqual([
        StepState.FAILED,
        StepState.BLOCKED,
        StepState.COMPLETED,
      ]);
      expect(run.failure?.message).toContain('bad corpus');
    });

    it('use the fallback that the phase declares', async () => {
      const worker = await fixture.worker(async (job) => {
        await job.start();
        const artifacts = [{ digest: DIGEST, type: 'corpus' }];
        const result = { outcome: 'fallback', outputs: [{ port: 'text', artifacts }] };
        if (job.task.fallback === 'empty-text') return job.report({ case: 'succeeded', value: { result } });
        return job.report({ case: 'failed', value: { failure: { code: 'ABORTED', failureClass: 2 } } });
      }, 'copy');
      const name = await begin({ steps: [{ id: 'a', phase: 'copy' }] });
      const run = await fixture.untilState(name, RunState.COMPLETED);
      expect(run.steps[0]?.usedFallback).toBe(true);
      expect(worker.jobs.map(({ task }) => task.fallback)).toEqual(['', 'empty-text']);
    });

    it('of a silent worker are found by its missing heartbeats', async () => {
      await fixture.worker(async (job) => {
        await job.start();
        if (job.task.attemptNumber === 1) return sleep(1_500).then(() => undefined);
        return job.succeed();
      });
      const timeouts = { heartbeat: durationFromMs(1_000) };
      const name = await begin({ steps: [step('a', { timeouts, retry: quick })] });
      const run = await fixture.untilState(name, RunState.COMPLETED);
      expect(run.steps[0]?.attempts[0]?.failure?.reason).toBe('HEARTBEAT_TIMEOUT');
    });

    it('to find a worker in time fail the step', async () => {
      const timeouts = { scheduleToStart: durationFromMs(200) };
      const name = await begin({ steps: [step('a', { timeouts })] });
      const run = await fixture.untilState(name, RunState.FAILED);
      expect(run.failure?.reason).toBe('SCHEDULE_TO_START_TIMEOUT');
    });
  });

  describe('judgements', () => {
    const artifacts = { case: 'artifacts' as const, value: { refs: [{ digest: DIGEST, type: 'corpus' }] } };
    const copy = {
      id: 'a',
      phase: 'copy',
      allowFallback: false,
      inputs: [{ port: 'text', source: artifacts }],
    };
    const deliver = async (job: Job) => {
      await job.start();
      const outputs = [{ port: 'text', artifacts: [{ digest: DIGEST, type: 'corpus' }] }];
      await job.report({ case: 'succeeded', value: { result: { outcome: 'done', outputs } } });
    };

    it('are asked for before a step and after it', async () => {
      const worker = await fixture.worker(deliver, 'copy');
      const run = await fixture.untilState(await begin({ steps: [copy] }), RunState.COMPLETED);
      // Judging changes nothing, so the sweep may ask again while a verdict is on its way.
      expect(judgements.inputCalls).toBeGreaterThanOrEqual(1);
      expect(judgements.outputCalls).toBeGreaterThanOrEqual(1);
      expect(run.steps[0]?.verdicts).toHaveLength(1);
      expect(run.steps[0]?.verdicts[0]?.validator).toBe('stub');
      expect(worker.jobs[0]?.task.inputs[0]?.artifacts[0]?.digest).toBe(DIGEST);
    });

    it('that refuse inputs fail the step without an attempt', async () => {
      judgements.refuseInputs = 'is empty';
      const run = await fixture.untilState(await begin({ steps: [copy] }), RunState.FAILED);
      expect(run.steps[0]?.attempts).toHaveLength(0);
      expect(run.steps[0]?.failure?.message).toContain('is empty');
    });

    it('that refuse outputs fail the step for good', async () => {
      await fixture.worker(deliver, 'copy');
      judgements.refuseOutputs = 'is not finite';
      const run = await fixture.untilState(await begin({ steps: [copy] }), RunState.FAILED);
      expect(run.steps[0]?.attempts).toHaveLength(1);
      expect(run.steps[0]?.verdicts[0]?.valid).toBe(false);
    });

    it('are asked for again while the validators are away', async () => {
      await fixture.worker(deliver, 'copy');
      judgements.unavailable = 6;
      await fixture.untilState(await begin({ steps: [copy] }), RunState.COMPLETED);
    });

    it('pass outputs on along the edges', async () => {
      const worker = await fixture.worker(deliver, 'copy');
      const source = { case: 'stepOutput' as const, value: { stepId: 'a', output: 'text' } };
      const next = { id: 'b', phase: 'copy', inputs: [{ port: 'text', source }] };
      await fixture.untilState(await begin({ steps: [copy, next] }), RunState.COMPLETED);
      expect(worker.jobs[1]?.task.inputs[0]?.artifacts[0]?.digest).toBe(DIGEST);
    });
  });

  describe('pause, resume, cancel', () => {
    it('pause tells the worker at once; resume goes on from its checkpoint', async () => {
      const worker = await fixture.worker(async (job) => {
        await job.start();
        if (job.task.checkpoint) return job.succeed();
        while (!job.pushed.includes(TaskAction.RELEASE)) await sleep(10);
        expect(await job.heartbeat()).toBe(TaskAction.RELEASE);
        return job.report({
          case: 'released',
          value: { checkpoint: { digest: DIGEST, type: 'checkpoint' } },
        });
      });
      const name = await begin({ steps: [step('a')] });
      await fixture.until(
        name,
        (run) => run.steps[0]?.attempts[0]?.worker !== '' && run.startTime !== undefined,
      );
      expect((await client.pauseExecution({ name })).run?.state).toBe(RunState.PAUSED);
      await fixture.until(name, (run) => run.steps[0]?.state === StepState.READY);
      await sleep(200);
      const jobs = () => worker.jobs.filter(({ task }) => task.run === name);
      expect(jobs()).toHaveLength(1);
      await client.resumeExecution({ name });
      await fixture.untilState(name, RunState.COMPLETED);
      expect(jobs()[1]?.task).toMatchObject({ checkpoint: { digest: DIGEST }, fencingToken: 2n });
    });

    it('cancel reaches the worker within two seconds and the run ends', async () => {
      let toldAfterMs = Number.POSITIVE_INFINITY;
      let askedAt = 0;
      await fixture.worker(async (job) => {
        await forever(job);
        toldAfterMs = Date.now() - askedAt;
        await job.report({ case: 'cancelled', value: {} });
      });
      const name = await begin(chain);
      await fixture.until(name, (run) => run.startTime !== undefined);
      askedAt = Date.now();
      await client.cancelExecution({ name, reason: 'enough' });
      const run = await fixture.untilState(name, RunState.CANCELLED);
      expect(toldAfterMs).toBeLessThan(2_000);
      expect(run.steps.map(({ state }) => state)).toEqual([StepState.CANCELLED, StepState.CANCELLED]);
    });

    it('a task of a cancelled run is dropped by the worker that picks it up', async () => {
      const name = await begin(chain);
      await client.cancelExecution({ name });
      await fixture.untilState(name, RunState.CANCELLED);
      const worker = await fixture.worker(obedient);
      for (let i = 0; i < 100 && worker.jobs.every(({ task }) => task.run !== name); i++) await sleep(20);
      expect(worker.jobs.find(({ task }) => task.run === name)?.directive).toBe(TaskAction.ABANDON);
    });
  });

  describe('retry', () => {
    it('repeats a failed step with a changed configuration and keeps what is complete', async () => {
      const worker = await fixture.worker(async (job) => {
        await job.start();
        if (job.task.stepId === 'a' || job.task.config?.['n'] === 2) return job.succeed();
        return job.report({ case: 'failed', value: { failure: { code: 'ABORTED', failureClass: 2 } } });
      });
      const name = await begin(chain);
      await fixture.untilState(name, RunState.FAILED);
      await expect(client.retryExecution({ name, stepIds: ['ghost'] })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      const bad = { b: { n: 'x' } };
      await expect(client.retryExecution({ name, configOverrides: bad })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        fieldViolations: [{ field: 'config_overrides["b"].n' }],
      });
      await client.retryExecution({ name, stepIds: ['b'], configOverrides: { b: { n: 2 } } });
      await fixture.untilState(name, RunState.COMPLETED);
      expect(worker.jobs.map(({ task }) => task.stepId)).toEqual(['a', 'b', 'b']);
    });
  });

  describe('dead letters', () => {
    it('fail the attempt of a task that no worker can read, and the next attempt completes the step', async () => {
      const name = await begin({ steps: [step('a', { retry: quick })] });
      const attemptId = attemptIdOf(name, 'a', 1);
      await fixture.until(name, ({ steps }) => steps[0]?.attempts.length === 1);
      // The id of a message that is sent again begins with its attempt, too.
      await publishRaw(fixture.nats.url, {
        subject: `forge.tasks.noop.${attemptId}`,
        data: Buffer.from('not a task'),
        messageId: `${attemptId}:spoilt`,
        replacesIn: STREAMS.tasks,
      });
      await fixture.worker(obedient);
      const run = await fixture.untilState(name, RunState.COMPLETED);
      expect(run.steps[0]?.attempts).toMatchObject([
        { failure: { reason: 'DEAD_LETTERED' } },
        { id: attemptIdOf(name, 'a', 2) },
      ]);
      const [letter] = await fixture.events.deadLetters.list({ origin: 'tasks' });
      expect(letter).toMatchObject({ run: name, stepId: 'a', attemptId, reason: 'MALFORMED_MESSAGE' });
    });

    it('keep reports about runs and steps that do not exist', async () => {
      await fixture.worker(obedient);
      const name = await begin({ steps: [step('a')] });
      await fixture.untilState(name, RunState.COMPLETED);
      const say = (run: string, stepId: string) =>
        fixture.events.reports.publish(
          'noop',
          create(StepReportSchema, {
            run,
            stepId,
            attemptId: attemptIdOf(run, stepId, 1),
            fencingToken: 1n,
            worker: 'w',
            payload: { case: 'started', value: { delivery: 1 } },
          }),
        );
      await say('projects/p/runs/nobody', 'a');
      await say(name, 'nobody');
      const reasons = async () =>
        (await fixture.events.deadLetters.list({ origin: 'reports' })).map(({ reason }) => reason).sort();
      for (const end = Date.now() + 10_000; (await reasons()).length < 2 && Date.now() < end; )
        await sleep(50);
      expect(await reasons()).toEqual(['RUN_UNKNOWN', 'STEP_UNKNOWN']);
    });

    it('end the step of a phase that vanished, once its task is old', async () => {
      const { phases } = fixture.events;
      await phases.put(create(PhaseDescriptorSchema, { name: 'gone', configSchema: { type: 'object' } }));
      await fixture.orchestrator({ FORGE_UNCLAIMED_TASK_MS: '500' });
      const name = fixture.newRun();
      const start = () => client.startExecution({ name, graph: { steps: [step('a', { phase: 'gone' })] } });
      for (let i = 0; i < 100; i++) {
        const isAccepted = await start().then(
          () => true,
          () => sleep(20),
        );
        if (isAccepted) break;
      }
      await fixture.until(name, ({ steps }) => steps[0]?.attempts.length === 1);
      await phases.remove('gone');
      const run = await fixture.untilState(name, RunState.FAILED);
      expect(run.failure).toMatchObject({ reason: 'DEAD_LETTERED' });
      expect(run.failure?.message).toMatch(/no workers of a phase "gone"/);
    });
  });

  describe('a circuit breaker', () => {
    it('keeps steps from a phase whose workers fail, over all replicas, and lets them pass one by one later', async () => {
      const { phases } = fixture.events;
      const configSchema = { type: 'object' };
      for (const name of ['broken', 'sound'])
        await phases.put(create(PhaseDescriptorSchema, { name, configSchema }));
      const [one, two] = [await fixture.orchestrator(), await fixture.orchestrator()];
      const status = createClient(EngineStatusService, two.grpcAddress);
      const stateOf = async (phase: string) =>
        (await status.listPhaseBreakers({})).breakers.find((breaker) => breaker.phase === phase);
      const arrives = async (state: BreakerState) => {
        const end = Date.now() + 15_000;
        while ((await stateOf('broken'))?.state !== state && Date.now() < end) await sleep(20);
        expect((await stateOf('broken'))?.state).toBe(state);
      };
      let isBroken = true;
      const times: number[] = [];
      const worker = await fixture.worker(async (job) => {
        times.push(Date.now());
        await job.start();
        if (!isBroken) return job.succeed();
        const failure = { code: 'UNAVAILABLE', message: 'broken', reason: 'BROKEN', failureClass: 1 };
        await job.report({ case: 'failed', value: { failure } });
      }, 'broken');
      await fixture.worker(obedient, 'sound');
      const client = fixture.client(one);
      const retry = { ...quick, maxAttempts: 100, maxInterval: durationFromMs(20) };
      const name = fixture.newRun();
      const graph = {
        steps: [1, 2, 3]
          .map((i) => step(`b${i}`, { phase: 'broken', retry }))
          .concat(step('s', { phase: 'sound' })),
      };
      await client.startExecution({ name, graph });
      await arrives(BreakerState.OPEN);
      const { breakers } = await status.listPhaseBreakers({});
      expect(breakers.find(({ phase }) => phase === 'broken')?.lastFailure?.reason).toBe('BROKEN');
      const { waits } = await status.explainExecutionStep({ run: name, stepId: 'b1' });
      expect(waits.map(({ kind }) => kind)).toContain(WaitKind.BREAKER_OPEN);
      await fixture.until(name, ({ steps }) => steps[3]?.state === StepState.COMPLETED);
      const tried = times.length;
      await sleep(600);
      expect(times.length - tried).toBeLessThan(3);
      isBroken = false;
      await fixture.untilState(name, RunState.COMPLETED);
      expect((await stateOf('broken'))?.state).toBe(BreakerState.CLOSED);
      expect(worker.jobs.length).toBe(times.length);
      const metrics = await (await fetch(`http://${two.httpAddress}/metrics`)).text();
      expect(metrics).toMatch(/forge_breaker_state\{phase="broken",state="closed"[^}]*\} 1/);
      status.close();
    });
  });

  describe('fencing', () => {
    it('refuses and records results with an old token, and applies repeated ones once', async () => {
      const refusalsOf = async (run: string) =>
        (await fixture.history(run)).filter((event) => event === 'reportRefused').length;
      let forged = 0;
      await fixture.worker(async (job) => {
        await job.start();
        await job.report(
          { case: 'succeeded', value: { result: { outcome: 'forged' } } },
          { fencingToken: 99n },
        );
        forged++;
        // Several replicas take reports: the next one may overtake this one.
        while ((await refusalsOf(job.task.run)) < forged) await sleep(20);
        await job.succeed();
        await job.succeed();
      });
      const name = await begin(chain);
      const run = await fixture.untilState(name, RunState.COMPLETED);
      expect(run.steps.map(({ result }) => result?.outcome)).toEqual(['done', 'done']);
      const history = await fixture.history(name);
      expect(await refusalsOf(name)).toBe(2);
      expect(history.filter((event) => event === 'stepCompleted')).toHaveLength(2);
    });

    it('tells a worker to stop when another one took its place', async () => {
      const seen: (TaskAction | undefined)[] = [];
      await fixture.worker(async (job) => {
        await job.start();
        const { run, stepId, attemptId, fencingToken } = job.task;
        const usurper = { run, stepId, attemptId, fencingToken, worker: 'usurper', time: timestampNow() };
        const say = (payload: Parameters<typeof job.report>[0], n: number) =>
          fixture.events.reports.publish('noop', create(StepReportSchema, { ...usurper, payload }), n);
        await say({ case: 'started', value: { delivery: 2 } }, 7);
        await fixture.until(run, ({ steps }) => steps[0]?.attempts[0]?.worker === 'usurper');
        seen.push(await job.heartbeat());
        await job.succeed();
        await say({ case: 'succeeded', value: { result: { outcome: 'usurped' } } }, 8);
      });
      const run = await fixture.untilState(await begin({ steps: [step('a')] }), RunState.COMPLETED);
      expect(seen).toEqual([TaskAction.ABANDON]);
      expect(run.steps[0]?.result?.outcome).toBe('usurped');
    });
  });

  describe('a crash', () => {
    it('between commit and publish is made good: the task is published', async () => {
      const name = fixture.newRun();
      const event = (payload: object) => ({ time: timestampNow(), actor: 'crashed', payload }) as never;
      const attemptId = attemptIdOf(name, 'a', 1);
      await fixture.append(
        name,
        [
          event({ case: 'runCreated', value: { graph: { steps: [step('a')] } } }),
          event({ case: 'stepReady', value: { stepId: 'a' } }),
          event({ case: 'stepScheduled', value: { stepId: 'a', attemptId, number: 1, fencingToken: 1n } }),
        ],
        0n,
      );
      const worker = await fixture.worker(obedient);
      await fixture.untilState(name, RunState.COMPLETED);
      expect(worker.jobs.map(({ task }) => task.attemptId)).toEqual([attemptId]);
    });

    it('before outputs are judged is made good: they are judged', async () => {
      const name = fixture.newRun();
      const event = (payload: object) => ({ time: timestampNow(), actor: 'crashed', payload }) as never;
      const attemptId = attemptIdOf(name, 'a', 1);
      const graph = { steps: [{ id: 'a', phase: 'copy' }] };
      await fixture.append(
        name,
        [
          event({ case: 'runCreated', value: { graph } }),
          event({ case: 'stepReady', value: { stepId: 'a' } }),
          event({ case: 'stepScheduled', value: { stepId: 'a', attemptId, number: 1, fencingToken: 1n } }),
          event({ case: 'stepStarted', value: { stepId: 'a', attemptId, worker: 'w' } }),
          event({ case: 'stepReported', value: { stepId: 'a', attemptId, result: { outcome: 'done' } } }),
        ],
        0n,
      );
      await fixture.untilState(name, RunState.COMPLETED);
      expect(judgements.outputCalls).toBeGreaterThan(0);
    });
  });
});

describe('a run whose log is damaged', () => {
  let fixture: Fixture;

  beforeAll(async () => {
    fixture = await Fixture.start();
  }, 60_000);
  afterAll(() => fixture.stop(), 60_000);

  it('is in quarantine: nothing is decided about it, here and after a restart, and others go on', async () => {
    const first = await fixture.orchestrator();
    const client = fixture.client(first);
    const name = fixture.newRun();
    await client.startExecution({ name, graph: chain });
    const { revision } = (await client.getExecution({ name })).run ?? {};
    const subject = `forge.runs.p.${name.split('/').at(-1)}`;
    await publishRaw(fixture.nats.url, { subject, data: Buffer.from([0xff, 0xff]) });
    const check = async (from: typeof client): Promise<void> => {
      const { run } = await from.getExecution({ name });
      expect(run).toMatchObject({ revision, state: RunState.RUNNING, quarantine: { code: 'DATA_LOSS' } });
      await expect(from.cancelExecution({ name })).rejects.toMatchObject({
        code: 'DATA_LOSS',
        reason: 'RUN_QUARANTINED',
      });
    };
    while (!(await client.getExecution({ name })).run?.quarantine) await sleep(20);
    await check(client);
    await first.drain('gone');
    const again = fixture.client(await fixture.orchestrator());
    await check(again);
    await fixture.worker(obedient);
    const other = fixture.newRun();
    await again.startExecution({ name: other, graph: chain });
    await fixture.untilState(other, RunState.COMPLETED);
    expect(await fixture.history(name)).toEqual(['runCreated', 'stepReady', 'stepScheduled']);
  }, 60_000);
});

describe('orchestrators', () => {
  let fixture: Fixture;

  beforeAll(async () => {
    fixture = await Fixture.start();
  }, 60_000);
  afterEach(() => fixture.dismissWorkers());
  afterAll(() => fixture.stop(), 60_000);

  it('in several replicas work on the same runs and every transition commits once', async () => {
    const [one, two] = await Promise.all([fixture.orchestrator(), fixture.orchestrator()]);
    const clients = [fixture.client(one), fixture.client(two)];
    await fixture.worker(obedient);
    const steps = Array.from({ length: 20 }, (_, i) =>
      step(`s${i}`, { after: i % 5 === 0 ? [] : [`s${i - 1}`] }),
    );
    const names = Array.from({ length: 6 }, () => fixture.newRun());
    await Promise.all(names.map((name, i) => clients[i % 2]?.startExecution({ name, graph: { steps } })));
    for (const name of names) {
      await fixture.untilState(name, RunState.COMPLETED);
      const history = await fixture.history(name);
      for (const event of ['stepScheduled', 'stepCompleted'])
        expect(history.filter((one) => one === event)).toHaveLength(20);
    }
  }, 60_000);

  it('take over what another one leaves behind', async () => {
    const [first, second] = await Promise.all([fixture.orchestrator(), fixture.orchestrator()]);
    const name = fixture.newRun();
    await fixture.client(first).startExecution({ name, graph: chain });
    await first.drain('gone');
    await fixture.worker(obedient);
    await fixture.untilState(name, RunState.COMPLETED);
    await expect(fixture.client(second).getExecution({ name })).resolves.toMatchObject({ run: { name } });
  }, 60_000);

  it('leave a silent run to the one that drives it, and queue an attempt once however long it waits', async () => {
    const [one] = await Promise.all([fixture.orchestrator(), fixture.orchestrator()]);
    await forgetMessageIds(fixture.nats.url, 'FORGE_TASKS');
    const gate = { isOpen: false };
    const worker = await new FakeWorker(fixture.events, 'single', async (job) => {
      await job.start();
      while (job.task.stepId === 'trains' && !gate.isOpen) await sleep(20);
      await job.succeed();
    }).start('noop', 1);
    const name = fixture.newRun();
    await fixture.client(one).startExecution({ name, graph: { steps: [step('trains'), step('queues')] } });
    await fixture.until(name, (run) => run.steps[0]?.attempts[0]?.startTime !== undefined);
    // both orchestrators sweep every 50 ms, and take over what is silent for 1 s: nobody may publish it again
    await sleep(3_500);
    const [queue] = (await fixture.events.queueReadings()).filter(({ phase }) => phase === 'noop');
    expect(queue).toMatchObject({ waiting: 1, inFlight: 1 });
    gate.isOpen = true;
    await fixture.untilState(name, RunState.COMPLETED);
    await sleep(500);
    await worker.stop();
    expect(worker.jobs.map(({ task }) => task.stepId)).toEqual(['trains', 'queues']);
  }, 60_000);

  it('go on by themselves when NATS was restarted', async () => {
    await fixture.orchestrator();
    const client = fixture.client(await fixture.orchestrator());
    const gate = { isOpen: false };
    await fixture.worker(async (job) => {
      await job.start();
      while (!gate.isOpen) await sleep(20);
      await job.succeed();
    });
    const name = fixture.newRun();
    await client.startExecution({ name, graph: chain });
    await fixture.until(name, (run) => run.startTime !== undefined);
    await fixture.nats.kill('SIGKILL');
    await fixture.nats.restart();
    gate.isOpen = true;
    await fixture.untilState(name, RunState.COMPLETED);
  }, 60_000);

  it('start from a note of the runs that go on, or replay when it is of no use', async () => {
    const first = await fixture.orchestrator();
    const done = fixture.newRun();
    const worker = await fixture.worker(obedient);
    await fixture.client(first).startExecution({ name: done, graph: chain });
    await fixture.untilState(done, RunState.COMPLETED);
    await worker.stop();
    const open = fixture.newRun();
    await fixture.client(first).startExecution({ name: open, graph: chain });
    await first.drain('gone');
    const store = fixture.events.snapshots('engine', OPEN_RUNS_VERSION);
    const note = await store.load();
    expect(note?.openRuns).toContain(open);
    expect(note?.openRuns).not.toContain(done);
    expect(note?.upTo).toBe((await fixture.events.runs.extent()).lastSequence);
    // A note that claims more than the log has is not believed.
    await store.save({ upTo: 10n ** 12n, openRuns: [] }, [], note);
    await (await fixture.orchestrator()).drain('gone');
    expect((await store.load())?.openRuns).toContain(open);
    await fixture.orchestrator();
    await fixture.worker(obedient);
    await fixture.untilState(open, RunState.COMPLETED);
  }, 60_000);

  it('with nobody left, the next one to start finds every run', async () => {
    const first = await fixture.orchestrator();
    const name = fixture.newRun();
    await fixture.client(first).startExecution({ name, graph: chain });
    await fixture.worker(obedient);
    await first.drain('gone');
    await fixture.orchestrator();
    const run = await fixture.untilState(name, RunState.COMPLETED);
    expect(run.steps.map(({ attempts }) => attempts.length)).toEqual([1, 1]);
  }, 60_000);
});
