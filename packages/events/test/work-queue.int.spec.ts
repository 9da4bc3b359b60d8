import { ArtifactRefSchema, FailureClass, type StepReport, StepTaskSchema } from '@agentforge/contracts';
import { create, toBinary } from '@bufbuild/protobuf';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, headers } from '@nats-io/transport-node';
import {
  attemptIdOf,
  type Consumption,
  type DeliveredTask,
  type Events,
  UnprocessableMessageError,
} from '../src/index.js';
import { connectForTest, forgetMessageIds, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { oneHourAhead, RUN, startedReport, taskOf, until } from './histories.js';

/** Short enough for a test, long enough for a busy machine. */
const ACK_WAIT_MS = 1_000;

describe('TaskQueue and Reports', () => {
  let nats: NatsServer;
  let events: Events;
  let other: Events;
  let consumptions: Consumption[] = [];

  beforeEach(async () => {
    nats = await startNatsServer();
    events = await connectForTest(nats.url, { ackWaitMs: ACK_WAIT_MS });
    other = await connectForTest(nats.url, { name: 'other', ackWaitMs: ACK_WAIT_MS });
  });

  afterEach(async () => {
    await Promise.all(consumptions.map((consumption) => consumption.stopPulling()));
    consumptions = [];
    await events.close();
    await other.close();
    await nats.stop();
  });

  const consume = async (
    handler: (delivered: DeliveredTask) => Promise<void>,
    options: Parameters<Events['tasks']['consume']>[2] = {},
    on = events,
  ) => {
    const consumption = await on.tasks.consume('noop', handler, options);
    consumptions.push(consumption);
    return consumption;
  };

  const waiting = async (stream: string) =>
    (await events.queueReadings()).filter((reading) => reading.stream === stream);

  it('delivers each task once, also when it is published twice', async () => {
    const task = taskOf('one');
    await events.tasks.publish(task);
    await other.tasks.publish(task);
    await events.tasks.publish(taskOf('two'));
    const seen: string[] = [];
    await consume(async ({ task: { stepId }, delivery }) => {
      seen.push(`${stepId}#${delivery}`);
    });
    await until(() => seen.length === 2);
    await new Promise((resolve) => setTimeout(resolve, ACK_WAIT_MS * 1.5));
    expect(seen).toEqual(['one#1', 'two#1']);
    expect(await waiting('FORGE_TASKS')).toEqual([
      { stream: 'FORGE_TASKS', phase: 'noop', waiting: 0, inFlight: 0, oldestAgeMs: 0 },
    ]);
  });

  it('queues an attempt once, also long after the window in which message ids are remembered', async () => {
    const raw = await connect({ servers: nats.url });
    const manager = await jetstreamManager(raw);
    await forgetMessageIds(nats.url, 'FORGE_TASKS');
    const task = taskOf('patient');
    await events.tasks.publish(task);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await other.tasks.publish(task);
    const seen: number[] = [];
    const gate = deferred();
    await consume(async ({ delivery }) => {
      seen.push(delivery);
      await gate.promise;
    });
    await until(() => seen.length === 1);
    await other.tasks.publish(task);
    expect((await manager.streams.info('FORGE_TASKS')).state.messages).toBe(1);
    gate.resolve(undefined);
    await until(async () => (await manager.streams.info('FORGE_TASKS')).state.messages === 0);
    await raw.close();
    expect(seen).toEqual([1]);
  });

  it('holds no more tasks than its concurrency and leaves the others to other workers', async () => {
    for (let i = 0; i < 6; i++) await events.tasks.publish(taskOf(`s${i}`));
    let mine = 0;
    let theirs = 0;
    const gate = deferred();
    await consume(
      async () => {
        mine++;
        await gate.promise;
      },
      { concurrency: 2 },
    );
    await until(() => mine === 2);
    const [reading] = await waiting('FORGE_TASKS');
    expect(reading).toMatchObject({ waiting: 4, inFlight: 2 });
    expect(reading?.oldestAgeMs).toBeGreaterThan(0);
    await consume(
      async () => {
        theirs++;
      },
      { concurrency: 1 },
      other,
    );
    await until(() => theirs === 4);
    expect(mine).toBe(2);
    gate.resolve(undefined);
  });

  it('keeps a long task by in-progress acks', async () => {
    await events.tasks.publish(taskOf('long'));
    const deliveries: number[] = [];
    const handler = async ({ delivery }: DeliveredTask) => {
      deliveries.push(delivery);
      await new Promise((resolve) => setTimeout(resolve, ACK_WAIT_MS * 3));
    };
    await consume(handler);
    await consume(handler, {}, other);
    await until(async () => (await waiting('FORGE_TASKS'))[0]?.inFlight === 0 && deliveries.length > 0);
    expect(deliveries).toEqual([1]);
  });

  it('delivers again after the ack-wait when a worker falls silent, and when it says so', async () => {
    await events.tasks.publish(taskOf('lost'));
    const seen: string[] = [];
    const silent = await consume(
      () => {
        seen.push('silent');
        return new Promise(() => undefined);
      },
      { keepAlive: false },
    );
    await until(() => seen.length === 1);
    await silent.stopPulling();
    const startedAt = Date.now();
    await consume(
      async ({ delivery, nak }) => {
        seen.push(`other#${delivery}`);
        if (delivery === 2) nak(100);
      },
      {},
      other,
    );
    await until(() => seen.length === 3);
    expect(seen).toEqual(['silent', 'other#2', 'other#3']);
    expect(Date.now() - startedAt).toBeGreaterThan(ACK_WAIT_MS / 4);
  });

  it('hands a task back when its handler throws, and tries again', async () => {
    await events.tasks.publish(taskOf('fails'));
    const deliveries: number[] = [];
    await consume(async ({ delivery }) => {
      deliveries.push(delivery);
      if (delivery === 1) throw new Error('first try fails');
    });
    await until(() => deliveries.length === 2);
    expect(deliveries).toEqual([1, 2]);
  });

  it('puts malformed and refused messages aside with their reason, and can drive one again', async () => {
    const raw = await connect({ servers: nats.url });
    await raw.request('forge.tasks.noop.odd', Buffer.from('not a task'));
    await raw.request('forge.reports.noop', Buffer.from([0xff, 0xff]));
    await raw.close();
    await events.tasks.publish(taskOf('refused'));
    const seen: string[] = [];
    let isRefusing = true;
    await consume(async ({ task, term }) => {
      seen.push(task.stepId);
      if (isRefusing) await term({ reason: 'REFUSED', message: 'cannot be done' });
    });
    consumptions.push(await events.reports.consume(async () => undefined));
    await until(async () => (await events.deadLetters.list()).length === 3);
    const letters = await events.deadLetters.list({ origin: 'tasks' });
    expect(letters.map(({ origin, subject }) => `${origin} ${subject}`)).toEqual([
      'tasks forge.tasks.noop.odd',
      'tasks forge.tasks.noop.test.r1.refused.1',
    ]);
    const byReason = new Map(letters.map((letter) => [letter.reason, letter]));
    expect(byReason.get('MALFORMED_MESSAGE')?.message).toMatch(/^malformed StepTask/);
    expect(Buffer.from(byReason.get('MALFORMED_MESSAGE')?.data ?? []).toString()).toBe('not a task');
    expect(byReason.get('REFUSED')).toMatchObject({
      message: 'cannot be done',
      run: RUN,
      stepId: 'refused',
      phase: 'noop',
      deliveries: 1,
    });
    expect(seen).toEqual(['refused']);
    isRefusing = false;
    await events.deadLetters.redrive(byReason.get('REFUSED')?.sequence ?? 0);
    await until(() => seen.length === 2);
    expect(await events.deadLetters.list({ origin: 'tasks' })).toHaveLength(1);
    const unreadable = byReason.get('MALFORMED_MESSAGE')?.sequence ?? 0;
    await expect(events.deadLetters.redrive(unreadable)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await expect(events.deadLetters.redrive(999)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await events.deadLetters.list({ origin: 'reports' }))[0]?.subject).toBe('forge.reports.noop');
  });

  it('tells the engine about every task that became a dead letter, whatever its bytes are', async () => {
    const lost: StepReport[] = [];
    consumptions.push(await events.reports.consume(async ({ report }) => void lost.push(report)));
    const raw = await connect({ servers: nats.url });
    const publish = (id: string, data: Uint8Array) => {
      const header = headers();
      header.set('Nats-Msg-Id', id);
      return raw.request('forge.tasks.noop.odd', data, { headers: header, timeout: 5_000 });
    };
    const newer = toBinary(StepTaskSchema, { ...taskOf('newer'), version: 9 });
    await publish(attemptIdOf(RUN, 'garbled', 1), toBinary(StepTaskSchema, taskOf('garbled')).subarray(0, 9));
    await publish(attemptIdOf(RUN, 'newer', 2), newer);
    await publish(attemptIdOf(RUN, 'huge', 1), Buffer.alloc(1_000_000, 0xff));
    await raw.close();
    await consume(async () => undefined);
    await until(() => lost.length === 3);
    const letters = await events.deadLetters.list();
    for (const [stepId, reason] of [
      ['garbled', 'MALFORMED_MESSAGE'],
      ['newer', 'UNSUPPORTED_VERSION'],
      ['huge', 'MALFORMED_MESSAGE'],
    ]) {
      const letter = letters.find((one) => one.stepId === stepId);
      expect(letter?.reason).toBe(reason);
      const report = lost.find((one) => one.stepId === stepId);
      expect(report).toMatchObject({ run: RUN, attemptId: letter?.attemptId });
      expect(report?.payload).toMatchObject({
        case: 'failed',
        value: {
          deadLetterSequence: BigInt(letter?.sequence ?? 0),
          failure: { reason: 'DEAD_LETTERED', failureClass: FailureClass.TRANSIENT },
        },
      });
    }
    const huge = letters.find(({ stepId }) => stepId === 'huge');
    expect(huge).toMatchObject({ sizeBytes: 1_000_000, isTruncated: true });
    expect(huge?.data).toHaveLength(900 * 1024);
    await expect(events.deadLetters.redrive(huge?.sequence ?? 0)).rejects.toThrow(/first part/);
    const old = letters.find(({ stepId }) => stepId === 'newer')?.sequence ?? 0;
    expect((await events.deadLetters.get(old)).data).toEqual(newer);
  });

  it('gives a task up that kills its workers, and runs other tasks in between', async () => {
    const lost: StepReport[] = [];
    consumptions.push(await events.reports.consume(async ({ report }) => void lost.push(report)));
    await events.tasks.publish(taskOf('poison'));
    const runs: string[] = [];
    // Whoever takes the poison falls silent, as a worker does that was killed; another one is started in its place.
    const work = async (): Promise<void> => {
      const dies = deferred();
      const options = { keepAlive: false, ackWaitMs: ACK_WAIT_MS, tries: 4 };
      const consumption = await consume(({ task }) => {
        runs.push(task.stepId);
        if (task.stepId !== 'poison') return Promise.resolve();
        dies.resolve(undefined);
        return new Promise(() => undefined);
      }, options);
      await dies.promise;
      await consumption.stopPulling();
      await work();
    };
    void work();
    for (let i = 0; lost.length === 0; i++) {
      await events.tasks.publish(taskOf(`good${i}`));
      await new Promise((resolve) => setTimeout(resolve, ACK_WAIT_MS / 4));
    }
    expect(runs.filter((stepId) => stepId === 'poison')).toHaveLength(4);
    const between = runs.slice(runs.indexOf('poison'), runs.lastIndexOf('poison'));
    expect(between.filter((stepId) => stepId.startsWith('good')).length).toBeGreaterThan(3);
    expect(lost[0]?.payload.value).toMatchObject({
      failure: { reason: 'POISON_TASK', failureClass: FailureClass.PERMANENT },
    });
    expect((await events.deadLetters.list())[0]).toMatchObject({ reason: 'POISON_TASK', stepId: 'poison' });
  }, 60_000);

  it('does not take a task for poison that stored a checkpoint', async () => {
    await events.tasks.publish(taskOf('long'));
    let count = 0;
    await consume(
      async ({ task: { attemptId }, delivery, nak }) => {
        const checkpoint = create(ArtifactRefSchema, { digest: `sha256:${delivery}` });
        await events.checkpoints.put(attemptId, {
          checkpoint,
          fencingToken: 1n,
          sequence: delivery,
          delivery,
        });
        if (++count < 6) nak();
      },
      { tries: 2 },
    );
    await until(() => count === 6);
    expect(await events.deadLetters.list()).toEqual([]);
  });

  it('does not take deliveries that reach nobody alive for workers that died', async () => {
    const raw = await connect({ servers: nats.url });
    await events.tasks.ensureQueue('noop');
    const dead = await jetstream(raw).consumers.get('FORGE_TASKS', 'phase-noop');
    await events.tasks.publish(taskOf('unlucky'));
    const taken: number[] = [];
    for (let i = 0; i < 4; i++) taken.push((await dead.next({ expires: 10_000 }))?.info.deliveryCount ?? 0);
    await raw.close();
    expect(taken).toEqual([1, 2, 3, 4]);
    const runs: number[] = [];
    await consume(
      async ({ delivery, nak }) => {
        runs.push(delivery);
        if (runs.length === 1) nak();
      },
      { tries: 3 },
    );
    await until(() => runs.length === 2);
    expect(await events.deadLetters.list()).toEqual([]);
  }, 60_000);

  it('does not take a worker that has the task already for a further one', async () => {
    await events.tasks.publish(taskOf('slow'));
    const { attemptId } = taskOf('slow');
    const held = new Set<string>();
    const seen: number[] = [];
    await consume(
      ({ task, delivery }) => {
        held.add(task.attemptId);
        seen.push(delivery);
        return new Promise(() => undefined);
      },
      {
        ...{ keepAlive: false, ackWaitMs: ACK_WAIT_MS, tries: 2, concurrency: 9 },
        isExecuting: (id) => held.has(id),
      },
    );
    await until(() => seen.length === 4);
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(await events.checkpoints.historyOf(attemptId)).toEqual({ progressAt: 0, begun: 1 });
    expect(await events.deadLetters.list()).toEqual([]);
  });

  it('puts a task aside whose checkpoints cannot be found because their entry is damaged', async () => {
    const raw = await connect({ servers: nats.url });
    const bucket = await new Kvm(jetstream(raw)).open('forge-checkpoints');
    const [known, fresh] = [taskOf('known'), taskOf('fresh')];
    for (const { attemptId } of [known, fresh]) await bucket.put(attemptId, '{"checkpoint":');
    await events.tasks.publish(fresh);
    const letters = () => events.deadLetters.list();
    await consume(async ({ task: { attemptId }, nak }) => {
      if (attemptId === known.attemptId) return nak();
      await events.checkpoints.get(attemptId);
    });
    await until(async () => (await letters()).length === 1);
    await events.tasks.publish(known);
    await until(async () => (await letters()).length === 2);
    expect((await letters()).map(({ reason, stepId }) => [stepId, reason])).toEqual([
      ['fresh', 'CHECKPOINT_UNREADABLE'],
      ['known', 'CHECKPOINT_UNREADABLE'],
    ]);
    await raw.close();
  });

  it('gives up a task whose handler fails every time, and a report that nobody can take, at once', async () => {
    const error = new UnprocessableMessageError('RUN_UNKNOWN', 'there is no such run');
    const lost: StepReport[] = [];
    consumptions.push(
      await events.reports.consume(async ({ report }) => {
        if (report.payload.case !== 'failed') throw error;
        lost.push(report);
      }),
    );
    await events.reports.publish('noop', startedReport('nobody'));
    await events.tasks.publish(taskOf('fails'));
    await consume(
      async () => {
        throw new Error('broken for good');
      },
      { tries: 2 },
    );
    await until(() => lost.length === 1);
    const letters = await events.deadLetters.list();
    expect(letters.find(({ origin }) => origin === 'tasks')).toMatchObject({
      reason: 'HANDLER_FAILED',
      deliveries: 2,
    });
    expect(letters.find(({ origin }) => origin === 'reports')).toMatchObject({
      reason: 'RUN_UNKNOWN',
      stepId: 'nobody',
      deliveries: 1,
    });
  });

  it('gives up tasks of phases that nobody serves, once they are old', async () => {
    await events.tasks.publish({ ...taskOf('orphan'), phase: 'nobody' });
    await events.tasks.publish(taskOf('waits'));
    const isKnown = (phase: string) => phase === 'noop';
    expect(await events.tasks.giveUpUnclaimed(isKnown, 60_000)).toBe(0);
    expect(await oneHourAhead(() => events.tasks.giveUpUnclaimed(isKnown, 60_000))).toBe(0);
    await Promise.all([events, other].map((replica) => replica.tasks.giveUpUnclaimed(isKnown, 0)));
    expect(await events.deadLetters.list()).toMatchObject([
      { reason: 'PHASE_UNKNOWN', phase: 'nobody', stepId: 'orphan' },
    ]);
    const lost: StepReport[] = [];
    consumptions.push(await events.reports.consume(async ({ report }) => void lost.push(report)));
    await until(() => lost.length === 1);
    expect(lost[0]?.payload.value).toMatchObject({ failure: { failureClass: FailureClass.PERMANENT } });
    const seen: string[] = [];
    await consume(async ({ task }) => void seen.push(task.stepId));
    await until(() => seen.length === 1);
    expect(seen).toEqual(['waits']);
  });

  it('pages letters backwards, filters them, counts and deletes them', async () => {
    for (let i = 1; i <= 7; i++)
      await events.deadLetters.put({
        origin: i % 2 === 0 ? 'tasks' : 'reports',
        subject: `forge.${i % 2 === 0 ? 'tasks' : 'reports'}.noop`,
        reason: 'TEST',
        message: `number ${i}`,
        data: Buffer.alloc(i),
      });
    const page = (limit: number, before?: number, origin = '') =>
      events.deadLetters.page({
        limit,
        ...(before === undefined ? {} : { before }),
        isWanted: (letter) => origin === '' || letter.origin === origin,
      });
    const first = await page(3);
    expect(first.letters.map(({ sequence, sizeBytes }) => [sequence, sizeBytes])).toEqual([
      [7, 7],
      [6, 6],
      [5, 5],
    ]);
    await events.deadLetters.remove(4);
    await events.deadLetters.remove(7);
    const second = await page(3, first.next);
    expect(second.letters.map(({ sequence }) => sequence)).toEqual([3, 2, 1]);
    expect(second.next).toBeUndefined();
    expect((await page(10, undefined, 'tasks')).letters.map(({ sequence }) => sequence)).toEqual([6, 2]);
    expect(Object.fromEntries(await events.deadLetters.counts())).toEqual({ tasks: 2, reports: 3, runs: 0 });
    await expect(events.deadLetters.remove(7)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(events.deadLetters.get(99)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('stops pulling at once, finishes what it holds, and loses nothing', async () => {
    for (let i = 0; i < 20; i++) await events.tasks.publish(taskOf(`s${i}`));
    const done: string[] = [];
    let started = 0;
    const consumption = await consume(
      async ({ task, signal }) => {
        started += 1;
        while (done.length >= 3 && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
        done.push(task.stepId);
      },
      { concurrency: 3 },
    );
    await until(() => done.length >= 3 && started >= 6);
    await consumption.stop();
    const held = done.length;
    expect(held).toBeGreaterThanOrEqual(6);
    expect(held).toBeLessThan(20);
    expect(consumption.inFlight).toBe(0);
    expect(consumption.isPulling).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(done).toHaveLength(held);
    await consume(async ({ task }) => void done.push(task.stepId), { concurrency: 4 }, other);
    await until(() => done.length === 20);
    expect(new Set(done).size).toBe(20);
  });

  it('handles reports of one run in order and of different runs in parallel', async () => {
    const run = (name: string) => `projects/test/runs/${name}`;
    for (let i = 0; i < 10; i++)
      for (const name of ['a', 'b'])
        await events.reports.publish('noop', startedReport(`s${i}`, 1, run(name)));
    await events.reports.publish('noop', startedReport('s0', 1, run('a')));
    const seen: string[] = [];
    const open = new Map<string, number>();
    let mostPerRun = 0;
    let mostInAll = 0;
    consumptions.push(
      await events.reports.consume(async ({ report }) => {
        open.set(report.run, (open.get(report.run) ?? 0) + 1);
        mostPerRun = Math.max(mostPerRun, ...open.values());
        mostInAll = Math.max(
          mostInAll,
          [...open.values()].reduce((sum, count) => sum + count, 0),
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        open.set(report.run, (open.get(report.run) ?? 0) - 1);
        seen.push(`${report.run.at(-1)}${report.stepId}`);
      }),
    );
    await until(() => seen.length >= 20);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(seen.filter((name) => name.startsWith('a'))).toEqual(
      Array.from({ length: 10 }, (_, i) => `as${i}`),
    );
    expect(seen.filter((name) => name.startsWith('b'))).toEqual(
      Array.from({ length: 10 }, (_, i) => `bs${i}`),
    );
    expect(mostPerRun).toBe(1);
    expect(mostInAll).toBe(2);
  });

  it('makes the consumer again when it was deleted', async () => {
    const seen: string[] = [];
    await consume(async ({ task }) => void seen.push(task.stepId));
    const raw = await connect({ servers: nats.url });
    await (await jetstreamManager(raw)).consumers.delete('FORGE_TASKS', 'phase-noop');
    await raw.close();
    await events.tasks.publish(taskOf('after'));
    await until(() => seen.length === 1);
  });

  it('adapts the ack-wait of an existing consumer', async () => {
    await (await consume(async () => undefined)).stop();
    await consume(async () => undefined, { ackWaitMs: 7_000 });
    const raw = await connect({ servers: nats.url });
    const info = await (await jetstreamManager(raw)).consumers.info('FORGE_TASKS', 'phase-noop');
    await raw.close();
    expect(info.config.ack_wait).toBe(7_000_000_000);
  });
});

function deferred() {
  let resolve: (value: unknown) => void = () => undefined;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
