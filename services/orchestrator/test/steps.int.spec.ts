import { setTimeout as sleep } from 'node:timers/promises';
import { RunState, StepState, TaskAction } from '@agentforge/contracts';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Bench, chain, DIGEST, forever, quick, startBench, step } from './bench.js';
import { type Job, obedient } from './fake-worker.js';
import { judgements } from './stub-validators.js';

describe('the orchestrator executes', () => {
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
});
