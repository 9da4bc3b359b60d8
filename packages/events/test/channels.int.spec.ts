import {
  ArtifactRefSchema,
  PhaseDescriptorSchema,
  StepProgressSchema,
  TaskAction,
  TaskDirectiveSchema,
  TaskHeartbeatSchema,
} from '@agentforge/contracts';
import { createMetrics, currentContext, newTrace, runInContext } from '@agentforge/telemetry';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { AttemptOverError, type Events, type PhaseChange, StaleFencingTokenError } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { oneHourAhead, RUN, startedReport, taskOf, until } from './histories.js';

describe('the other channels', () => {
  let nats: NatsServer;
  let a: Events;
  let b: Events;

  beforeEach(async () => {
    nats = await startNatsServer();
    a = await connectForTest(nats.url, { name: 'a' });
    b = await connectForTest(nats.url, { name: 'b' });
  });

  afterEach(async () => {
    await a.close();
    await b.close();
    await nats.stop();
  });

  const progressOf = (fraction: number, stepId = 's', run = RUN) =>
    create(StepProgressSchema, { run, stepId, attemptId: 'x.y.s.1', fraction });

  it('carries trace, request, tenant and run of the publisher to the handler', async () => {
    const trace = newTrace();
    const context = { requestId: 'req-1', tenant: 'acme', runId: RUN, trace };
    await runInContext(context, () => a.tasks.publish(taskOf('one')));
    const seen: unknown[] = [];
    const consumption = await b.tasks.consume('noop', async (delivered) => {
      seen.push(delivered.context, currentContext());
    });
    await until(() => seen.length === 2);
    expect(seen).toEqual([context, context]);
    await consumption.stop();
  });

  it('answers heartbeats by one replica and pushes directives at once', async () => {
    const { run, stepId, attemptId, fencingToken } = startedReport('s');
    const heartbeat = create(TaskHeartbeatSchema, { run, stepId, attemptId, fencingToken, worker: 'w' });
    const asked: string[] = [];
    const answer = (name: string) => () => {
      asked.push(name);
      return create(TaskDirectiveSchema, { attemptId, action: TaskAction.RELEASE });
    };
    expect(await a.directives.heartbeat(heartbeat, { timeoutMs: 200 })).toBeUndefined();
    const answering = [a.directives.answer(answer('a')), b.directives.answer(answer('b'))];
    await until(async () => (await a.directives.heartbeat(heartbeat)) !== undefined);
    asked.length = 0;
    for (let i = 0; i < 10; i++)
      expect((await a.directives.heartbeat(heartbeat))?.action).toBe(TaskAction.RELEASE);
    expect(asked).toHaveLength(10);
    await Promise.all(answering.map((replica) => replica.stop()));
    const failing = a.directives.answer(() => {
      throw new Error('no answer');
    });
    expect(await b.directives.heartbeat(heartbeat, { timeoutMs: 200 })).toBeUndefined();
    await failing.stop();

    const told: TaskAction[] = [];
    const watching = b.directives.watch(attemptId, ({ action }) => told.push(action));
    await until(() => {
      a.directives.push(create(TaskDirectiveSchema, { attemptId, action: TaskAction.CANCEL }));
      return told.length > 0;
    });
    expect(told[0]).toBe(TaskAction.CANCEL);
    watching.stop();
  });

  it('asks one replica of a version of a phase about a configuration, and knows at once when there is none', async () => {
    const ask = (version = '1.0.0', name = 'cognate', config: JsonObject = { low: 1 }) =>
      a.configChecks.ask({ name, version }, config, 5_000);
    const startedAt = performance.now();
    expect(await ask()).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(2_500);
    const asked: [string, JsonObject][] = [];
    const answer = (events: Events, who: string, version: string) =>
      events.configChecks.answer({ name: 'cognate', version }, (config) => {
        asked.push([who, config]);
        return [{ field: 'config.low', description: `refused by ${version}` }];
      });
    const answering = [answer(a, 'a', '1.0.0'), answer(b, 'b', '1.0.0'), answer(b, 'b2', '2.0.0')];
    const refused = (version: string) => [{ field: 'config.low', description: `refused by ${version}` }];
    await until(async () => (await ask('2.0.0')) !== undefined);
    asked.length = 0;
    for (let i = 0; i < 10; i++) expect(await ask()).toEqual(refused('1.0.0'));
    expect(asked).toHaveLength(10);
    expect(asked.every(([who, { low }]) => who !== 'b2' && low === 1)).toBe(true);
    expect(await ask('2.0.0')).toEqual(refused('2.0.0'));
    expect(await ask('3.0.0')).toBeUndefined();
    expect(await ask('1.0.0', 'evomerge')).toBeUndefined();
    expect(await ask('1.0.0', 'cognate', { text: 'x'.repeat(1_000_000) })).toBeUndefined();
    await Promise.all(answering.map((replica) => replica.stop()));
    await until(async () => (await ask()) === undefined);
  });

  it('cuts what a phase says of a configuration, and a check that throws says nothing', async () => {
    const long = { field: `config.${'f'.repeat(1_000)}`, description: 'd'.repeat(1_000) };
    const talkative = a.configChecks.answer({ name: 'talkative', version: '1' }, () =>
      Array(1_000).fill(long),
    );
    const failing = a.configChecks.answer({ name: 'failing', version: '1' }, () => {
      throw new Error('no answer');
    });
    let said: readonly { field: string; description: string }[] | undefined;
    await until(async () => {
      said = await b.configChecks.ask({ name: 'talkative', version: '1' }, {}, 5_000);
      return said !== undefined;
    });
    expect(said).toHaveLength(100);
    expect([said?.[0]?.field.length, said?.[0]?.description.length]).toEqual([300, 500]);
    expect(await b.configChecks.ask({ name: 'failing', version: '1' }, {}, 200)).toBeUndefined();
    await talkative.stop();
    await failing.stop();
  });

  it('streams progress of one run from now on, or from the beginning', async () => {
    a.progress.publish(progressOf(0.1));
    await a.progress.flush();
    const live = b.progress.subscribe(RUN);
    const replayed = b.progress.subscribe(RUN, { replay: true, stepId: 's' });
    const all: number[] = [];
    const fromNow: number[] = [];
    const reading = [
      (async () => {
        for await (const { fraction } of replayed) all.push(fraction);
      })(),
      (async () => {
        for await (const { fraction } of live) fromNow.push(fraction);
      })(),
    ];
    await until(() => all.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    a.progress.publish(progressOf(0.2));
    a.progress.publish(progressOf(0.9, 'other'));
    a.progress.publish(progressOf(0.8, 's', 'projects/test/runs/other'));
    a.progress.publish(progressOf(0.3));
    await until(() => all.length === 3 && fromNow.length === 3);
    expect(all).toEqual([0.1, 0.2, 0.3]);
    expect(fromNow).toEqual([0.2, 0.9, 0.3]);
    live.close();
    replayed.close();
    await Promise.all(reading);
  });

  it('keeps a slow reader’s memory flat: the oldest is dropped and counted, the newest arrives', async () => {
    const feed = b.progress.subscribe(RUN, { bufferSize: 10 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (let i = 1; i <= 500; i++) {
      a.progress.publish(progressOf(i));
      if (i % 50 === 0) await a.progress.flush();
    }
    await until(() => feed.dropped === 490);
    const seen: number[] = [];
    for await (const { fraction } of feed) {
      seen.push(fraction);
      if (fraction === 500) break;
    }
    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => 491 + i));
    expect(a.progress.dropped).toBe(0);
  });

  it('replays stored progress to a slow reader without dropping any', async () => {
    for (let i = 1; i <= 300; i++) a.progress.publish(progressOf(i));
    await a.progress.flush();
    const feed = b.progress.subscribe(RUN, { replay: true, bufferSize: 10 });
    const seen: number[] = [];
    for await (const { fraction } of feed) {
      if (fraction % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      seen.push(fraction);
      if (fraction === 300) break;
    }
    expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    expect(feed.dropped).toBe(0);
  });

  it('publishes progress without waiting while NATS is away, and keeps the newest', async () => {
    await nats.kill();
    await until(() => !a.isConnected());
    for (let i = 1; i <= 1_500; i++) a.progress.publish(progressOf(i));
    expect(a.progress.dropped).toBeGreaterThan(400);
    await nats.restart();
    await until(() => a.isConnected() && b.isConnected());
    await a.progress.flush(5_000);
    const feed = b.progress.subscribe(RUN, { replay: true });
    let last = 0;
    for await (const { fraction } of feed) {
      last = fraction;
      if (fraction === 1_500) break;
    }
    expect(last).toBe(1_500);
    a.progress.publish(create(StepProgressSchema, { run: 'nonsense' }));
  });

  it('lists phases and tells of changes', async () => {
    const describe = (name: string, version: string) => create(PhaseDescriptorSchema, { name, version });
    await a.phases.put(describe('cognate', '1'));
    await a.phases.put(describe('cognate', '1'));
    const changes: PhaseChange[] = [];
    let isCaughtUp = false;
    const end = new AbortController();
    const watching = (async () => {
      const onCaughtUp = () => {
        isCaughtUp = true;
      };
      for await (const change of b.phases.watch({ signal: end.signal, onCaughtUp })) changes.push(change);
    })();
    await until(() => isCaughtUp);
    expect(changes).toHaveLength(1);
    await a.phases.put(describe('evomerge', '1'));
    await a.phases.put(describe('cognate', '2'));
    await until(() => changes.length === 3);
    expect((await b.phases.list()).map(({ name, version }) => `${name} ${version}`)).toEqual([
      'cognate 2',
      'evomerge 1',
    ]);
    expect((await b.phases.get('cognate'))?.version).toBe('2');
    expect(await b.phases.get('nobody')).toBeUndefined();
    expect(await b.phases.get('../x')).toBeUndefined();
    await a.phases.remove('cognate');
    await until(() => changes.length === 4);
    expect(changes[3]).toEqual({ name: 'cognate', descriptor: undefined });
    expect(await b.phases.list()).toHaveLength(1);
    await expect(a.phases.put(describe('Bad Name', '1'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    end.abort();
    await watching;
  });

  it('keeps the newest checkpoint of an attempt, whoever races', async () => {
    const id = 'test.r1.s.1';
    const entry = (token: bigint, sequence: number) => ({
      checkpoint: create(ArtifactRefSchema, { digest: `d${token}-${sequence}` }),
      fencingToken: token,
      sequence,
    });
    expect(await a.checkpoints.get(id)).toBeUndefined();
    await a.checkpoints.put(id, entry(1n, 1));
    await b.checkpoints.put(id, entry(1n, 2));
    await expect(a.checkpoints.put(id, entry(1n, 1))).rejects.toThrow(StaleFencingTokenError);
    await b.checkpoints.put(id, entry(2n, 1));
    await expect(a.checkpoints.put(id, entry(1n, 9))).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const races = Array.from({ length: 10 }, (_, i) =>
      (i % 2 ? a : b).checkpoints.put(id, entry(2n, i + 2)).catch((error: unknown) => {
        if (!(error instanceof StaleFencingTokenError)) throw error;
      }),
    );
    await Promise.all(races);
    expect(await a.checkpoints.get(id)).toEqual({ ...entry(2n, 11), delivery: 0 });
    await a.checkpoints.end(id);
    await expect(b.checkpoints.get(id)).rejects.toMatchObject({ reason: 'ATTEMPT_OVER' });
    await expect(b.checkpoints.put(id, entry(3n, 1))).rejects.toThrow(AttemptOverError);
    await expect(b.checkpoints.begin(id)).rejects.toThrow(AttemptOverError);
    await expect(a.checkpoints.get('a b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('counts the workers that began with a task since its last checkpoint', async () => {
    const id = 'test.r2.s.1';
    expect(await a.checkpoints.historyOf(id)).toEqual({ progressAt: 0, begun: 1 });
    await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 ? a : b).checkpoints.begin(id)));
    expect(await b.checkpoints.historyOf(id)).toEqual({ progressAt: 0, begun: 7 });
    expect(await a.checkpoints.get(id)).toBeUndefined();
    const checkpoint = create(ArtifactRefSchema, { digest: 'd' });
    await a.checkpoints.put(id, { checkpoint, fencingToken: 1n, sequence: 1, delivery: 8 });
    expect(await b.checkpoints.historyOf(id)).toEqual({ progressAt: 8, begun: 0 });
    await b.checkpoints.begin(id);
    expect(await a.checkpoints.historyOf(id)).toEqual({ progressAt: 8, begun: 1 });
    expect(await a.checkpoints.get(id)).toMatchObject({ checkpoint, sequence: 1, delivery: 8 });
  });

  it('records each upload once and tells of new ones', async () => {
    const ref = (name: string) =>
      create(ArtifactRefSchema, { digest: `sha256:${name.repeat(64)}`, name, sizeBytes: 1n });
    await a.uploads.put(ref('a'));
    await a.uploads.put(ref('a'));
    const seen: string[] = [];
    const end = new AbortController();
    const owners: { project: string; since: number }[] = [];
    const watching = (async () => {
      for await (const { ref: upload, project, since } of b.uploads.watch({ signal: end.signal })) {
        seen.push(upload.name);
        owners.push({ project, since: since.getTime() });
      }
    })();
    await until(() => seen.length === 1);
    await a.uploads.put(ref('b'));
    await until(() => seen.length === 2);
    expect(seen).toEqual(['a', 'b']);
    const renamed = { ...ref('b'), name: 'c' };
    await a.uploads.put(ref('b'), 'p');
    await Promise.all([a.uploads.put(renamed, 'q'), a.uploads.put(ref('b'), 'q'), b.uploads.put(renamed)]);
    await until(() => seen.length >= 4);
    expect(owners[1]?.project).toBe('');
    const counted = owners.slice(2);
    expect(counted).toEqual(counted.map(() => ({ project: 'p', since: counted[0]?.since })));
    await expect(a.uploads.put(ref('z'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    end.abort();
    await watching;
  });

  it('shows every heartbeat to every observer, answered or not', async () => {
    const { run, stepId, attemptId, fencingToken } = startedReport('s');
    const heartbeat = create(TaskHeartbeatSchema, { run, stepId, attemptId, fencingToken, worker: 'w' });
    const seen: string[] = [];
    const observing = [
      a.directives.observe(({ worker }) => seen.push(`a ${worker}`)),
      b.directives.observe(({ worker }) => seen.push(`b ${worker}`)),
    ];
    await until(async () => {
      await a.directives.heartbeat(heartbeat, { timeoutMs: 50 });
      return new Set(seen).size === 2;
    });
    expect(new Set(seen)).toEqual(new Set(['a w', 'b w']));
    await Promise.all(observing.map((observer) => observer.stop()));
  });

  it('exposes what waits in the queues', async () => {
    const metrics = createMetrics('test');
    a.registerMetrics(metrics);
    const consumption = await b.tasks.consume('noop', () => new Promise(() => undefined));
    for (const id of ['one', 'two', 'three']) await a.tasks.publish(taskOf(id));
    await until(async () => (await a.queueReadings()).some(({ inFlight }) => inFlight === 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { text } = await metrics.expose();
    expect(text).toMatch(/forge_queue_lag\{[^}]*phase="noop"[^}]*\} 2/);
    expect(text).toMatch(/forge_queue_oldest_age_seconds\{[^}]*phase="noop"[^}]*\} 0\.\d+/);
    const ages = (await oneHourAhead(() => a.queueReadings())).map(({ oldestAgeMs }) => oldestAgeMs);
    expect(Math.max(...ages)).toBeLessThan(60_000);
    expect(Math.max(...ages)).toBeGreaterThan(0);
    await consumption.stopPulling();
  });
});
