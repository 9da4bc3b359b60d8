import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { BUCKETS, connectEvents, STREAMS } from '../src/index.js';
import { type NatsServer, startNatsServer } from '../src/testing/index.js';
import { created, RUN } from './histories.js';

describe('the topology', () => {
  let nats: NatsServer;

  beforeEach(async () => {
    nats = await startNatsServer();
  });

  afterEach(() => nats.stop());

  const streams = async () => {
    const raw = await connect({ servers: nats.url });
    const found = new Map<string, Record<string, unknown>>();
    for await (const { config } of (await jetstreamManager(raw)).streams.list())
      found.set(config.name, { ...config });
    await raw.close();
    return found;
  };

  it('is created by many at once, and has what the engine needs', async () => {
    const all = await Promise.all(
      Array.from({ length: 5 }, (_, i) => connectEvents({ servers: nats.url, name: `c${i}` })),
    );
    await Promise.all(all.map((events) => events.close()));
    const found = await streams();
    expect([...found.keys()].sort()).toEqual(
      [...Object.values(STREAMS), ...Object.values(BUCKETS).map((bucket) => `KV_${bucket}`)].sort(),
    );
    expect(found.get(STREAMS.runs)).toMatchObject({ retention: 'limits', storage: 'file', discard: 'new' });
    expect(found.get(STREAMS.tasks)).toMatchObject({ retention: 'workqueue', duplicate_window: 120e9 });
    expect(found.get(STREAMS.reports)).toMatchObject({ retention: 'workqueue' });
    expect(found.get(STREAMS.audit)).toMatchObject({ deny_delete: true, deny_purge: true });
    expect(found.get(STREAMS.progress)).toMatchObject({ discard: 'old', max_age: 86_400e9 });
    expect(found.get(`KV_${BUCKETS.capacity}`)).toMatchObject({ max_age: 15e9 });
    expect(found.get(`KV_${BUCKETS.leases}`)).toMatchObject({ max_age: 0 });
  });

  it('adapts what exists and keeps what is stored', async () => {
    const before = await connectEvents({ servers: nats.url, name: 'before' });
    const revision = await before.runs.append(RUN, [created({ one: [] })], 0n);
    await before.close();
    const topology = {
      maxProgressBytes: 1_000_000,
      maxProgressAgeMs: 60_000,
      ackWaitMs: 5_000,
      maxRunBytes: 10_000_000,
    };
    const after = await connectEvents({ servers: nats.url, name: 'after', topology });
    expect(await after.runs.revisionOf(RUN)).toBe(revision);
    await after.close();
    const found = await streams();
    expect(found.get(STREAMS.progress)).toMatchObject({ max_bytes: 1_000_000, max_age: 60e9 });
    expect(found.get(STREAMS.runs)).toMatchObject({ max_bytes: 10_000_000 });
  });

  it('refuses what the server cannot do, instead of waiting for it', async () => {
    const wanted = connectEvents({ servers: nats.url, name: 'cluster', topology: { replicas: 2 } });
    await expect(wanted).rejects.toThrow();
  });

  it('refuses a stream of somebody else that holds its subjects', async () => {
    const raw = await connect({ servers: nats.url });
    await (await jetstreamManager(raw)).streams.add({ name: 'foreign', subjects: ['forge.audit.>'] });
    await raw.close();
    await expect(connectEvents({ servers: nats.url, name: 'late' })).rejects.toThrow('subjects overlap');
  });

  it('says RESOURCE_EXHAUSTED when the log is full, and goes on when there is room', async () => {
    const topology = { maxRunBytes: 20_000 };
    const events = await connectEvents({ servers: nats.url, name: 'small', topology });
    let revision = await events.runs.append(RUN, [created({ one: [] })], 0n);
    const reason = 'x'.repeat(5_000);
    const append = () =>
      events.runs.append(
        RUN,
        [{ time: { seconds: 1n }, payload: { case: 'runCancelRequested', value: { reason } } }],
        revision,
        { timeoutMs: 500 },
      );
    const fill = async () => {
      for (let i = 0; i < 10; i++) revision = await append();
    };
    await expect(fill()).rejects.toMatchObject({
      code: expect.stringMatching(/RESOURCE_EXHAUSTED|UNAVAILABLE/),
    });
    expect(await events.runs.revisionOf(RUN)).toBe(revision);
    await events.close();
    const larger = await connectEvents({
      servers: nats.url,
      name: 'larger',
      topology: { maxRunBytes: 200_000 },
    });
    expect(await larger.runs.revisionOf(RUN)).toBe(revision);
    await larger.runs.append(
      RUN,
      [{ time: { seconds: 1n }, payload: { case: 'runPaused', value: {} } }],
      revision,
    );
    await larger.close();
  });
});
