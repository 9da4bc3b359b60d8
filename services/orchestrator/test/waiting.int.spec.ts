import {
  type EngineStatusService,
  type OrchestrationService,
  RunState,
  StepState,
  WaitKind,
} from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Job, obedient } from './fake-worker.js';
import { Fixture, type GraphInit } from './fixture.js';

const step = (id: string, rest: object = {}) => ({ id, phase: 'noop', ...rest });

describe('why a step waits', () => {
  let fixture: Fixture;
  let client: Client<typeof OrchestrationService>;
  let status: Client<typeof EngineStatusService>;

  beforeAll(async () => {
    fixture = await Fixture.start();
    const service = await fixture.orchestrator();
    client = fixture.client(service);
    status = fixture.status(service);
  }, 60_000);
  afterEach(() => fixture.dismissWorkers());
  afterAll(() => fixture.stop(), 60_000);

  const begin = async (graph: GraphInit): Promise<string> => {
    const name = fixture.newRun();
    await client.startExecution({ name, graph });
    return name;
  };
  const kinds = async (run: string, stepId: string) =>
    (await status.explainExecutionStep({ run, stepId })).waits.map(({ kind }) => kind);

  it('without workers, then behind others, then not at all', async () => {
    const first = await begin({ steps: [step('a'), step('b', { after: ['a'] })] });
    const second = await begin({ steps: [step('a')] });
    expect(await kinds(first, 'a')).toEqual([WaitKind.QUEUED_NO_WORKER]);
    expect((await status.explainExecutionStep({ run: first, stepId: 'b' })).waits).toMatchObject([
      { kind: WaitKind.DEPENDENCIES, stepIds: ['a'], message: 'waits for "a" (RUNNING)' },
    ]);
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const busy = await fixture.worker(async (job: Job) => {
      await job.start();
      await opened;
      await job.succeed();
    });
    await fixture.until(first, (run) => run.steps[0]?.attempts[0]?.worker !== '');
    await fixture.until(second, (run) => run.steps[0]?.attempts[0]?.worker !== '');
    expect(await kinds(first, 'a')).toEqual([]);
    open();
    await busy.stop();
    await fixture.until(second, (run) => run.state === RunState.COMPLETED);
    await fixture.worker(obedient);
    await fixture.untilState(first, RunState.COMPLETED);
    expect(await kinds(first, 'b')).toEqual([]);
  });

  it('for its run, its next attempt, or the queue: every reason at once', async () => {
    const retry = { maxAttempts: 3, initialInterval: durationFromMs(60_000), jitter: 0 };
    const name = await begin({ maxParallelSteps: 1, steps: [step('a', { retry }), step('b')] });
    await fixture.worker(async (job: Job) => {
      await job.start();
      if (job.task.stepId !== 'a') return void (await new Promise((resolve) => setTimeout(resolve, 1_500)));
      const failure = { code: 'INTERNAL', message: 'no', reason: 'NO', failureClass: 1 };
      await job.report({ case: 'failed', value: { failure } });
    });
    await fixture.until(name, (run) => run.steps[1]?.state === StepState.RUNNING);
    await client.pauseExecution({ name });
    const { waits } = await status.explainExecutionStep({ run: name, stepId: 'a' });
    expect(waits.map(({ kind }) => kind)).toEqual([
      WaitKind.PAUSED,
      WaitKind.RETRY_BACKOFF,
      WaitKind.RUN_LIMIT,
    ]);
    expect(waits[1]?.until).toBeDefined();
    expect(waits[2]).toMatchObject({ stepIds: ['b'] });
    expect((await status.explainExecution({ run: name })).steps).toMatchObject([{ stepId: 'a' }]);
    await client.cancelExecution({ name });
  });

  it('is asked of steps and runs that exist', async () => {
    const name = await begin({ steps: [step('a')] });
    await expect(status.explainExecutionStep({ run: name, stepId: 'z' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'STEP_NOT_FOUND',
    });
    await expect(status.explainExecution({ run: 'projects/p/runs/none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(status.explainExecution({ run: 'none' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});
