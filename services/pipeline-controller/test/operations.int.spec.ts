import { BreakerState, OperationsService, PipelineService, StepTaskSchema } from '@agentforge/contracts';
import { attemptIdOf, type Events } from '@agentforge/events';
import type { Client } from '@agentforge/service-kit';
import { create, toBinary } from '@bufbuild/protobuf';
import { type FrontDoors, GRAPH, parent, startFrontDoors } from './start-front-door.js';
import { commit, engineRoom, engineStatus } from './stub-orchestrator.js';

describe('OperationsService', () => {
  let doors: FrontDoors;
  let events: Events;
  let pipeline: Client<typeof PipelineService>;
  let client: Client<typeof OperationsService>;

  beforeAll(async () => {
    doors = await startFrontDoors();
    events = doors.events;
    const service = await doors.start();
    pipeline = doors.client(PipelineService, service);
    client = doors.client(OperationsService, service);
  }, 60_000);
  afterAll(() => doors.end(), 60_000);

  /** Keeps the first task of a step of a run as a dead letter. */
  const keepTask = async (run: string, data?: Uint8Array, stepId = 'a'): Promise<bigint> => {
    const attemptId = attemptIdOf(run, stepId, 1);
    const task = create(StepTaskSchema, {
      run,
      stepId,
      attemptId,
      attemptNumber: 1,
      fencingToken: 1n,
      phase: 'noop',
    });
    const kept = await events.deadLetters.put({
      origin: 'tasks',
      subject: `forge.tasks.noop.${attemptId}`,
      reason: 'HANDLER_FAILED',
      message: 'the disk was gone',
      data: data ?? toBinary(StepTaskSchema, task),
      messageId: attemptId,
      deliveries: 5,
    });
    return BigInt(kept);
  };
  /** A run whose step "a" waits for its task. */
  const queuedRun = async (ids: readonly string[] = ['a']): Promise<string> => {
    const graph = ids.length > 1 ? { steps: ids.map((id) => ({ id, phase: 'noop' })) } : GRAPH;
    const { run } = await pipeline.createRun({ parent, graph });
    const name = run?.name ?? '';
    for (const stepId of ids) await schedule(name, stepId);
    return name;
  };
  const schedule = (name: string, stepId: string) => {
    const attemptId = attemptIdOf(name, stepId, 1);
    return commit(events, name, [
      { case: 'stepReady', value: { stepId } },
      { case: 'stepScheduled', value: { stepId, attemptId, number: 1, fencingToken: 1n } },
    ]);
  };
  const fail = async (name: string, ids: readonly string[] = ['a']) => {
    const failure = { code: 'DATA_LOSS', message: 'lost', reason: 'DEAD_LETTERED', failureClass: 2 };
    for (const stepId of ids)
      await commit(events, name, [
        { case: 'stepAttemptFailed', value: { stepId, attemptId: attemptIdOf(name, stepId, 1), failure } },
        { case: 'stepFailed', value: { stepId, failure } },
      ]);
    return commit(events, name, [{ case: 'runFailed', value: { failure } }]);
  };

  it('lists letters newest first, in pages, filtered, without their bytes', async () => {
    const name = await queuedRun();
    const first = await keepTask(name);
    for (let i = 0; i < 4; i++)
      await events.deadLetters.put({
        origin: 'reports',
        subject: 'forge.reports.other',
        reason: 'RUN_UNKNOWN',
        message: 'there is no run',
        data: Buffer.from('x'),
      });
    const seen: bigint[] = [];
    let pageToken = '';
    do {
      const page = await client.listDeadLetters({ pageSize: 2, pageToken });
      seen.push(...page.deadLetters.map(({ sequence }) => sequence));
      expect(page.deadLetters.every(({ payload }) => payload.length === 0)).toBe(true);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual([first + 4n, first + 3n, first + 2n, first + 1n, first]);
    const filters = ['phase = "noop"', 'reason = HANDLER_FAILED', `run = "${name}"`, 'origin = tasks'];
    for (const filter of [...filters, `${filters.join(' AND ')} AND create_time > "2020-01-01T00:00:00Z"`]) {
      const { deadLetters } = await client.listDeadLetters({ filter });
      expect(deadLetters).toMatchObject([
        {
          sequence: first,
          stepId: 'a',
          run: name,
          deliveries: 5,
          truncated: false,
          message: 'the disk was gone',
        },
      ]);
    }
    await expect(client.listDeadLetters({ filter: 'colour = red' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(client.listDeadLetters({ pageSize: 1_001 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(client.listDeadLetters({ pageToken: 'x' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const { deadLetter } = await client.getDeadLetter({ sequence: first });
    expect(deadLetter?.payload.length).toBe(Number(deadLetter?.sizeBytes));
  });

  it('sends the bytes again while the step still waits for them', async () => {
    const name = await queuedRun();
    const sequence = await keepTask(name);
    expect(await client.redriveDeadLetter({ sequence })).toMatchObject({
      subject: `forge.tasks.noop.${attemptIdOf(name, 'a', 1)}`,
      stepRetried: false,
    });
    const seen: string[] = [];
    const consumption = await events.tasks.consume('noop', async ({ task }) => void seen.push(task.run));
    for (let i = 0; i < 100 && seen.length === 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await consumption.stop();
    expect(seen).toEqual([name]);
    await expect(client.redriveDeadLetter({ sequence })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('has a failed step tried again instead, whatever its bytes are', async () => {
    const name = await queuedRun();
    const sequence = await keepTask(name, Buffer.from('not a task'));
    await fail(name);
    expect(await client.redriveDeadLetter({ sequence })).toMatchObject({ subject: '', stepRetried: true });
    const { run } = await pipeline.getRun({ name });
    expect(run?.steps[0]?.state).not.toBe('FAILED');
    const { events: history } = await pipeline.listRunEvents({ name });
    expect(history.at(-1)?.payload).toMatchObject({ case: 'runRetried', value: { stepIds: ['a'] } });
    await expect(client.getDeadLetter({ sequence })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each(['one after another', 'at once'])('takes several letters of one failed run, %s', async (how) => {
    const ids = ['a', 'b', 'c'];
    const name = await queuedRun(ids);
    const letters = [await keepTask(name), await keepTask(name, undefined, 'b')];
    await fail(name, ids);
    const redrive = (sequence: bigint) => client.redriveDeadLetter({ sequence });
    const [first, second] = letters.map((sequence) => () => redrive(sequence));
    const answers =
      how === 'at once' ? await Promise.all([first?.(), second?.()]) : [await first?.(), await second?.()];
    for (const answer of answers) expect(answer).toMatchObject({ subject: '', stepRetried: true });
    const { events: history } = await pipeline.listRunEvents({ name });
    const retries = history.filter(({ payload }) => payload.case === 'runRetried');
    expect(retries).toMatchObject([{ payload: { value: { stepIds: ids } } }]);
    for (const sequence of letters)
      await expect(client.getDeadLetter({ sequence })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('keeps the letter while the engine has no room for the run of a failed step, and says when to come again', async () => {
    const name = await queuedRun();
    const sequence = await keepTask(name);
    await fail(name);
    engineRoom.isFull = true;
    const refusal = client.redriveDeadLetter({ sequence });
    await expect(refusal).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_MANY_ACTIVE_RUNS',
      retryAfterMs: 5_000,
    });
    engineRoom.isFull = false;
    expect(await client.redriveDeadLetter({ sequence })).toMatchObject({ stepRetried: true });
  });

  it('does not try again what failed in a run that goes on, and keeps the letter', async () => {
    const name = await queuedRun(['a', 'b']);
    const failure = { code: 'DATA_LOSS', message: 'lost', reason: 'DEAD_LETTERED', failureClass: 2 };
    await commit(events, name, [
      { case: 'stepAttemptFailed', value: { stepId: 'a', attemptId: attemptIdOf(name, 'a', 1), failure } },
      { case: 'stepFailed', value: { stepId: 'a', failure } },
    ]);
    const sequence = await keepTask(name);
    await expect(client.redriveDeadLetter({ sequence })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await client.deleteDeadLetter({ sequence });
  });

  it('refuses to send what is of no use, and keeps it', async () => {
    const ended = await queuedRun();
    const attemptId = attemptIdOf(ended, 'a', 1);
    await commit(events, ended, [
      { case: 'stepStarted', value: { stepId: 'a', attemptId, worker: 'w' } },
      { case: 'stepReported', value: { stepId: 'a', attemptId, result: { outcome: 'done' } } },
      { case: 'stepCompleted', value: { stepId: 'a' } },
      { case: 'runCompleted', value: {} },
    ]);
    const stale = await keepTask(ended);
    const unreadable = await keepTask(await queuedRun(), Buffer.from('not a task'));
    const large = await keepTask(await queuedRun(), Buffer.alloc(1_000_000));
    const log = BigInt(
      await events.deadLetters.put({
        origin: 'runs',
        subject: 'forge.runs.p.r',
        reason: 'MALFORMED_MESSAGE',
        message: 'unreadable',
        data: Buffer.from('x'),
      }),
    );
    for (const sequence of [stale, unreadable, large, log]) {
      await expect(client.redriveDeadLetter({ sequence })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'NOT_REDRIVABLE',
      });
      expect((await client.getDeadLetter({ sequence })).deadLetter?.sequence).toBe(sequence);
      await client.deleteDeadLetter({ sequence });
      await expect(client.deleteDeadLetter({ sequence })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    await expect(client.getDeadLetter({ sequence: 0n })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('shows what the engine says about breakers, and the queues', async () => {
    engineStatus.breakers = [{ phase: 'noop', state: BreakerState.OPEN, failures: 5 }];
    expect((await client.listBreakers({})).breakers).toMatchObject(engineStatus.breakers);
    const { queues } = await client.listQueues({});
    expect(queues.map(({ stream }) => stream)).toContain('FORGE_REPORTS');
  });
});
