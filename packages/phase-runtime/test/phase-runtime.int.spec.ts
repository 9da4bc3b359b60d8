import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import {
  FailureClass,
  PhaseService,
  type StepTask,
  type StepTaskSchema,
  TaskAction,
  TaskDirectiveSchema,
} from '@agentforge/contracts';
import { attemptIdOf, type CheckpointIndex, type PoolAdvert } from '@agentforge/events';
import { createClient } from '@agentforge/service-kit';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { PhaseHost } from '../src/index.js';
import { BENCH_RUN, eventually, PhaseBench } from '../src/testing/index.js';
import { countingPhase } from './fixtures/counting-phase.mjs';

/** Long enough to be interrupted, short enough to wait for. */
const LONG = { count: 400, busy_ms: 5 };

/** A worker as it is set up when nobody sets anything. */
const DEFAULTS = { FORGE_TASK_ACK_WAIT_MS: '0', FORGE_HEARTBEAT_MS: '1000' };

let bench: PhaseBench;

/** Queues a task of the counting phase. */
async function submit(
  config: JsonObject,
  fields: MessageInitShape<typeof StepTaskSchema> = {},
): Promise<StepTask> {
  const corpus = await bench.putCorpus('twelve bytes');
  return bench.submit(config, { inputs: [{ port: 'corpus', artifacts: [corpus] }], ...fields });
}

beforeEach(async () => {
  bench = await PhaseBench.open(countingPhase);
});

afterEach(async () => {
  await bench.close();
});

describe('a phase service', () => {
  it('advertises what its host has, and takes it back when it drains', async () => {
    const seen: (PoolAdvert | undefined)[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const change of bench.events.capacity.watch({ signal: stop.signal }))
        if (change.kind === 'pool') seen.push(change.advert);
    })();
    const service = await bench.startService({
      FORGE_POOL: 'h.1',
      FORGE_POOL_CPU: '3',
      FORGE_POOL_GPUS: '2',
    });
    await eventually(() => seen.length > 0);
    expect(seen[0]).toMatchObject({ pool: 'h.1', phase: 'counting', cpu: 3, gpus: 2 });
    expect(seen[0]?.memoryBytes).toBeGreaterThan(2 ** 28);
    await service.drain('test');
    await eventually(() => seen.at(-1) === undefined);
    stop.abort();
    await following;
  });

  it('describes its phase, checks configurations, estimates, and registers', async () => {
    const service = await bench.startService();
    service.get(PhaseHost).announce(service.grpcAddress);
    const client = createClient(PhaseService, service.grpcAddress);
    const { phase } = await client.describePhase({});
    expect(phase).toMatchObject({ name: 'counting', version: '1.0.0', address: service.grpcAddress });
    expect((await client.validateConfig({ config: { count: 0, what: 1 } })).violations).toMatchObject([
      { field: 'config.count' },
      { field: 'config.what' },
    ]);
    const { config } = await client.validateConfig({ config: { count: 3 } });
    expect(config).toMatchObject({ count: 3, busy_ms: 1 });
    expect(await client.estimateResources({ config: { count: 7 } })).toMatchObject({ flop: 7 });
    await expect(client.estimateResources({ config: { count: 0 } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [{ field: 'config.count' }],
    });
    await expect(client.cancelTask({ attemptId: 'x' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    client.close();
    for await (const { descriptor } of bench.events.phases.watch()) {
      if (descriptor?.address === service.grpcAddress) break;
    }
  });

  it('does not do a task whose attempt has ended', async () => {
    await bench.events.checkpoints.end(attemptIdOf(BENCH_RUN, 'step', 1));
    const ended = await submit({ count: 1 });
    const next = await submit({ count: 1 });
    await bench.startService();
    await bench.report(next, 'succeeded');
    expect(bench.kinds(ended)).toEqual([]);
  });

  it('says on NATS what is wrong with a configuration, also between fields, until it drains', async () => {
    const service = await bench.startService();
    const ask = (config: JsonObject) => bench.events.configChecks.ask(countingPhase, config, 5_000);
    // Whoever hears of the phase may ask.
    for await (const { name } of bench.events.phases.watch()) if (name === 'counting') break;
    expect(await ask({ count: 3, fail_at: 2 })).toEqual([]);
    expect(await ask({ count: 3, fail_at: 3 })).toEqual([
      { field: 'config.fail_at', description: 'is 3; must be below count (3)' },
    ]);
    expect(await ask({ count: 0, what: 1 })).toMatchObject([
      { field: 'config.count' },
      { field: 'config.what' },
    ]);
    await service.drain('test');
    expect(await ask({})).toBeUndefined();
  });

  it('executes a task: started, checkpoints, succeeded, with usage', async () => {
    await bench.startService();
    const task = await submit({ count: 40, busy_ms: 5 });
    const { result } = await bench.report(task, 'succeeded');
    expect(result).toMatchObject({
      outcome: 'counted',
      metrics: [{ name: 'sum', value: 12 * 780 }],
      usage: { backend: 'cpu-none', threads: 1 },
    });
    expect(result?.usage?.wallSeconds).toBeGreaterThan(0.2);
    expect(Number(result?.usage?.peakMemoryBytes)).toBeGreaterThan(1e6);
    const kinds = bench.kinds(task);
    expect(kinds[0]).toBe('started');
    expect(kinds).toContain('checkpointed');
    expect(kinds.at(-1)).toBe('succeeded');
    const [digest = ''] = await bench.digests(task);
    expect(await bench.store.readText(digest)).toBe('42  9360');
  });

  it('streams progress to NATS and to watchers', async () => {
    const service = await bench.startService();
    const feed = bench.events.progress.subscribe(BENCH_RUN, { replay: true });
    const task = await submit(LONG);
    await bench.report(task, 'started');
    const client = createClient(PhaseService, service.grpcAddress);
    expect((await client.listTasks({})).tasks).toMatchObject([{ attemptId: task.attemptId, stepId: 'step' }]);
    const fractions: number[] = [];
    for await (const { progress } of client.watchTask({ attemptId: task.attemptId })) {
      fractions.push(progress?.fraction ?? -1);
    }
    client.close();
    expect(fractions.at(-1)).toBe(1);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    for await (const { points } of feed) {
      expect(points.every(({ series }) => series === 'sum')).toBe(true);
      if (points.some(({ step }) => step === 400n)) break;
    }
    feed.close();
  });

  it('answers while it computes, and cancels within two seconds', async () => {
    const service = await bench.startService();
    const task = await submit({ count: 100_000, busy_ms: 5 });
    await bench.report(task, 'checkpointed');
    const client = createClient(PhaseService, service.grpcAddress);
    await client.describePhase({});
    const startedAt = performance.now();
    await client.cancelTask({ attemptId: task.attemptId });
    await bench.report(task, 'cancelled');
    expect(performance.now() - startedAt).toBeLessThan(2000);
    await eventually(() => service.get(PhaseHost).tasks.list().length === 0);
    client.close();
  });

  it.each([
    ['pushed', (attemptId: string) => bench.events.directives.push(directive(attemptId, TaskAction.CANCEL))],
    ['an answer to a heartbeat', (attemptId: string) => bench.answers.set(attemptId, TaskAction.CANCEL)],
  ])('obeys a directive that is %s', async (_, send) => {
    await bench.startService();
    const task = await submit({ count: 100_000, busy_ms: 5 });
    await bench.report(task, 'started');
    send(task.attemptId);
    await bench.report(task, 'cancelled');
    expect(bench.kinds(task)).not.toContain('succeeded');
  });

  it('drops an attempt that is no longer wanted, without a report', async () => {
    const service = await bench.startService();
    const task = await submit(LONG, { attemptId: 'test.bench.step.99' });
    bench.answers.set(task.attemptId, TaskAction.ABANDON);
    const next = await submit({ count: 5 });
    await bench.report(next, 'succeeded');
    expect(bench.kinds(task).filter((kind) => kind !== 'started' && kind !== 'checkpointed')).toEqual([]);
    await eventually(() => service.get(PhaseHost).tasks.list().length === 0);
  });
});

describe('a task that cannot be done', () => {
  it.each([
    ['a bad configuration', { count: -1 }, {}, 'INVALID_ARGUMENT', FailureClass.PERMANENT],
    ['a full disk', { count: 9, fail_at: 3 }, {}, 'RESOURCE_EXHAUSTED', FailureClass.RESOURCE],
    ['no input', {}, { inputs: [] }, 'INVALID_ARGUMENT', FailureClass.PERMANENT],
    ['an unknown fallback', {}, { fallback: 'prayer' }, 'INVALID_ARGUMENT', FailureClass.PERMANENT],
  ])('fails with its class: %s', async (_, config, fields, code, failureClass) => {
    await bench.startService();
    const task = await submit(config, fields);
    const { failure } = await bench.report(task, 'failed');
    expect(failure).toMatchObject({ code, failureClass });
    const next = await submit({ count: 5 });
    await bench.report(next, 'succeeded');
  });

  it('names an input artifact that is gone', async () => {
    await bench.startService();
    const task = await submit({});
    await bench.report(task, 'succeeded');
    const digest = `sha256:${'0'.repeat(64)}`;
    const artifacts = (task.inputs[0]?.artifacts ?? []).map((ref) => ({ ...ref, digest }));
    const broken = await submit({}, { inputs: [{ port: 'corpus', artifacts }] });
    const { failure } = await bench.report(broken, 'failed');
    expect(failure).toMatchObject({ code: 'NOT_FOUND', failureClass: FailureClass.PERMANENT });
    expect(failure?.message).toContain(digest);
  });
});

describe('an interrupted task', () => {
  async function undisturbed(): Promise<string> {
    const task = await submit(LONG);
    return (await bench.digests(task)).join();
  }

  it('is released with a checkpoint when the service drains, and goes on elsewhere to the same result', async () => {
    const first = await bench.startService();
    const task = await submit(LONG);
    await bench.report(task, 'checkpointed');
    await first.drain('test');
    const { checkpoint } = await bench.report(task, 'released');
    expect(checkpoint).toBeDefined();
    await bench.startService();
    const again = await submit(LONG, checkpoint ? { checkpoint } : {});
    const { result } = await bench.report(again, 'succeeded');
    expect(result?.outputs[0]?.artifacts[0]?.digest).toBe(await undisturbed());
    expect(result?.usage?.wallSeconds).toBeGreaterThan(1.9);
  });

  it('says that it has a checkpoint once the index has it, however often that fails', async () => {
    const index = Object.getPrototypeOf(bench.events.checkpoints) as CheckpointIndex;
    const { put } = index;
    let tries = 0;
    index.put = async function (...args) {
      if (++tries <= 3) throw new Error('no answer in time');
      return put.apply(this, args);
    };
    try {
      await bench.startService();
      const task = await submit(LONG);
      const { sequence } = await bench.report(task, 'checkpointed');
      expect(tries).toBeGreaterThan(3);
      const indexed = await bench.events.checkpoints.get(task.attemptId);
      expect(indexed?.sequence).toBeGreaterThanOrEqual(sequence);
      await bench.report(task, 'succeeded');
    } finally {
      index.put = put;
    }
  });

  it('is released when told to', async () => {
    await bench.startService();
    const task = await submit(LONG);
    await bench.report(task, 'checkpointed');
    bench.events.directives.push(directive(task.attemptId, TaskAction.RELEASE));
    const { checkpoint } = await bench.report(task, 'released');
    expect(checkpoint?.type).toBe('checkpoint');
  });

  it('goes on from the indexed checkpoint after its process was killed, to the same result', async () => {
    const child = bench.startProcess(new URL('./fixtures/counting-service.mjs', import.meta.url));
    const task = await submit(LONG);
    await eventually(() => bench.kinds(task).filter((kind) => kind === 'checkpointed').length >= 2);
    child.kill('SIGKILL');
    await bench.startService();
    const digests = await bench.digests(task);
    const starts = bench.reports
      .filter(({ payload }) => payload.case === 'started')
      .map(({ payload }) => payload.value);
    expect(starts).toMatchObject([{ delivery: 1 }, { delivery: 2 }]);
    expect(digests.join()).toBe(await undisturbed());
  });

  it('is missed after three beats by default: another worker goes on', async () => {
    const child = bench.startProcess(new URL('./fixtures/counting-service.mjs', import.meta.url), DEFAULTS);
    const task = await submit(LONG);
    await eventually(() => bench.kinds(task).includes('checkpointed'));
    await bench.startService(DEFAULTS);
    child.kill('SIGKILL');
    const killedMs = performance.now();
    await eventually(() => bench.kinds(task).filter((kind) => kind === 'started').length === 2);
    // The promise is 5 s; what this says is that the default is made of beats, not of the former 30 s.
    expect(performance.now() - killedMs).toBeLessThan(15_000);
    await bench.report(task, 'succeeded');
  });

  it('is not taken from a worker whose machine is busy', async () => {
    await bench.startService(DEFAULTS);
    await bench.startService(DEFAULTS);
    const url = new URL('./fixtures/spinning.worker.mjs', import.meta.url);
    const spinning = Array.from({ length: 2 * availableParallelism() }, () => new Worker(url));
    const task = await submit({ count: 80, busy_ms: 100 });
    await bench.report(task, 'succeeded');
    await Promise.all(spinning.map((worker) => worker.terminate()));
    expect(bench.kinds(task).filter((kind) => kind === 'started')).toHaveLength(1);
  });

  it.each([
    ['missing', `sha256:${'1'.repeat(64)}`],
    ['of something else', undefined],
  ])('starts afresh when its checkpoint is %s', async (_, digest) => {
    await bench.startService();
    const blob = await bench.store.put(new TextEncoder().encode('{}'));
    const files = [{ path: 'state.json', digest: blob.digest, sizeBytes: blob.sizeBytes }];
    const other = await bench.store.putManifest({ files, annotations: { phase: 'other' } });
    const checkpoint = { ...other, digest: digest ?? other.digest };
    const task = await submit({ count: 20 }, { checkpoint });
    const { result } = await bench.report(task, 'succeeded');
    expect(result?.metrics[0]?.value).toBe(12 * 190);
  });
});

function directive(attemptId: string, action: TaskAction) {
  return create(TaskDirectiveSchema, { attemptId, action });
}
