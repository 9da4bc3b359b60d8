import { RunState, TaskAction, TaskDirectiveSchema, TaskHeartbeatSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { connectEvents, type Events, RevisionConflictError, type RunBatch } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { created, event, RUN, startedReport, taskOf, until } from './histories.js';

describe('when nats-server is killed with SIGKILL and comes back', () => {
  let nats: NatsServer;
  let events: Events;

  beforeEach(async () => {
    nats = await startNatsServer();
    events = await connectForTest(nats.url, { ackWaitMs: 1_000 });
  });

  afterEach(async () => {
    await events.close();
    await nats.stop();
  });

  const mark = (reason: string) => event({ case: 'runCancelRequested', value: { reason } });

  it('waits at start with a word, and begins when the server is there', async () => {
    const { port } = nats;
    await nats.kill();
    const statuses: string[] = [];
    const connecting = connectEvents({
      servers: nats.url,
      name: 'early',
      onStatus: (status) => statuses.push(status),
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(statuses).toEqual(['connecting']);
    await nats.restart();
    expect(nats.port).toBe(port);
    const early = await connecting;
    expect(early.isConnected()).toBe(true);
    await early.close();
    expect(statuses).toEqual(['connecting', 'connected', 'closed']);
  });

  it('gives up waiting when it is told to', async () => {
    await nats.kill();
    const signal = AbortSignal.timeout(300);
    await expect(connectEvents({ servers: nats.url, name: 'early', signal })).rejects.toMatchObject({
      name: expect.stringMatching(/Abort|Timeout/),
    });
  });

  it('loses and doubles no event of writers and readers that go on meanwhile', async () => {
    let revision = await events.runs.append(RUN, [created({ one: [] })], 0n);
    const reader = await connectForTest(nats.url, { name: 'reader' });
    const seen: RunBatch[] = [];
    const end = new AbortController();
    const reading = (async () => {
      for await (const batch of reader.runs.tail({ signal: end.signal })) seen.push(batch);
    })();
    const write = (async () => {
      for (let i = 0; i < 150; i++) {
        revision = await events.runs.append(RUN, [mark(`m${i}`)], revision, { timeoutMs: 30_000 });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    for (let kills = 0; kills < 3; kills++) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      await nats.restart();
    }
    await write;
    await until(() => seen.at(-1)?.revision === revision, 15_000);
    end.abort();
    await reading;
    await reader.close();
    const expected = ['', ...Array.from({ length: 150 }, (_, i) => `m${i}`)];
    expect(seen.map(reasonOf)).toEqual(expected);
    expect((await events.runs.read(RUN)).map(reasonOf)).toEqual(expected);
  });

  it('goes on delivering tasks and reports, also those published while it was away', async () => {
    const tasks: string[] = [];
    const reports: string[] = [];
    const consumptions = [
      await events.tasks.consume('noop', async ({ task }) => void tasks.push(task.stepId), {
        concurrency: 2,
      }),
      await events.reports.consume(async ({ report }) => void reports.push(report.stepId)),
    ];
    await events.tasks.publish(taskOf('before'));
    await until(() => tasks.length === 1);
    await nats.kill();
    const published = [
      events.tasks.publish(taskOf('away')),
      events.reports.publish('noop', startedReport('away')),
    ];
    await new Promise((resolve) => setTimeout(resolve, 500));
    await nats.restart();
    await Promise.all(published);
    await events.tasks.publish(taskOf('after'));
    await events.reports.publish('noop', startedReport('after'));
    await until(() => tasks.length === 3 && reports.length === 2, 20_000);
    expect(tasks.toSorted()).toEqual(['after', 'away', 'before']);
    expect(reports.toSorted()).toEqual(['after', 'away']);
    await Promise.all(consumptions.map((consumption) => consumption.stop()));
  });

  it('answers no heartbeat while it is away, quickly, and answers again afterwards', async () => {
    const { run, stepId, attemptId, fencingToken } = startedReport('s');
    const message = create(TaskHeartbeatSchema, { run, stepId, attemptId, fencingToken, worker: 'w1' });
    const directive = create(TaskDirectiveSchema, { attemptId, action: TaskAction.CONTINUE });
    const answering = events.directives.answer(() => directive);
    expect(await events.directives.heartbeat(message)).toEqual(directive);
    await nats.kill();
    await until(() => !events.isConnected());
    const startedAt = Date.now();
    expect(await events.directives.heartbeat(message)).toBeUndefined();
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    await nats.restart();
    await until(() => events.isConnected());
    await until(async () => (await events.directives.heartbeat(message)) !== undefined);
    await answering.stop();
  });

  it('says UNAVAILABLE when it stays away, and the run is what the log says', async () => {
    const first = await events.runs.append(RUN, [created({ one: [] })], 0n);
    await nats.kill();
    await expect(events.runs.append(RUN, [mark('lost')], first, { timeoutMs: 400 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await nats.restart();
    await until(() => events.isConnected());
    const state = await events.runs.load(RUN);
    expect([RunState.PENDING, RunState.CANCELLING]).toContain(state?.state);
    await expect(events.runs.append(RUN, [mark('old')], 0n)).rejects.toThrow(RevisionConflictError);
  });
});

function reasonOf({ events }: RunBatch): string {
  const payload = events[0]?.payload;
  return payload?.case === 'runCancelRequested' ? payload.value.reason : '';
}
