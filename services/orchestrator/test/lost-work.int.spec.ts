import { setTimeout as sleep } from 'node:timers/promises';
import {
  BreakerState,
  EngineStatusService,
  PhaseDescriptorSchema,
  RunState,
  StepReportSchema,
  StepState,
  TaskAction,
  WaitKind,
} from '@agentforge/contracts';
import { attemptIdOf, STREAMS } from '@agentforge/events';
import { publishRaw } from '@agentforge/events/testing';
import { createClient } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { type Bench, chain, quick, startBench, step } from './bench.js';
import { obedient } from './fake-worker.js';
import { judgements } from './stub-validators.js';

describe('the orchestrator survives', () => {
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

    it('keep reports about a run whose log is damaged', async () => {
      let finish: () => void = () => undefined;
      const isDamaged = new Promise<void>((resolve) => {
        finish = resolve;
      });
      await fixture.worker(async (job) => {
        await job.start();
        await isDamaged;
        await job.succeed();
      });
      const name = await begin({ steps: [step('a')] });
      await fixture.until(name, ({ steps }) => steps[0]?.state === StepState.RUNNING);
      await publishRaw(fixture.nats.url, {
        subject: `forge.runs.p.${name.split('/').at(-1)}`,
        data: Buffer.from([0xff]),
      });
      finish();
      const letters = () => fixture.events.deadLetters.list({ origin: 'reports' });
      const isKept = async () => (await letters()).some(({ run }) => run === name);
      for (const end = Date.now() + 10_000; !(await isKept()) && Date.now() < end; ) await sleep(50);
      const [letter] = (await letters()).filter(({ run }) => run === name);
      expect(letter).toMatchObject({ stepId: 'a', reason: 'RUN_QUARANTINED' });
      expect(letter?.message).toMatch(/quarantined: .*unreadable/);
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
    // What opens it has the time of the server, so the machine's must not matter: here it is an hour ahead.
    const { now } = Date;
    beforeAll(() => {
      Date.now = () => now() + 3_600_000;
    });
    afterAll(() => {
      Date.now = now;
    });

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
      // A step whose attempt was under way when the breaker opened waits for it a little later.
      const reasons = async () =>
        (await status.explainExecution({ run: name })).steps.flatMap(({ waits }) =>
          waits.map(({ kind }) => kind),
        );
      let known: WaitKind[] = [];
      const isKnown = () => known.includes(WaitKind.BREAKER_OPEN);
      for (const end = Date.now() + 5_000; !isKnown() && Date.now() < end; ) known = await reasons();
      expect(known).toContain(WaitKind.BREAKER_OPEN);
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
