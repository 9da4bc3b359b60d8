import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Events, PoolAdvert } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';

/** Far more than a busy machine needs. */
const LATE_MS = 4_000;

/** Entries of a bucket are replaced while a newcomer reads them: what it was told to expect is partly gone. */
describe('a newcomer catches up', () => {
  let nats: NatsServer;
  let events: Events;

  beforeAll(async () => {
    nats = await startNatsServer();
    events = await connectForTest(nats.url);
  });
  afterAll(async () => {
    await events.close();
    await nats.stop();
  });

  const advert = (worker: number): PoolAdvert => ({
    pool: 'host',
    worker: `w${worker}`,
    phase: 'noop',
    cpu: 1,
    memoryBytes: 1,
    gpus: 0,
    gpuMemoryBytes: 0,
  });

  /** Takes the entries away without leaving a word, as their age does. */
  async function purgeAdverts(): Promise<void> {
    const raw = await connect({ servers: nats.url });
    await (await jetstreamManager(raw)).streams.purge('KV_forge-capacity');
    await raw.close();
  }

  /** Time until everything that was there was read, ms; infinite when it is not in time. */
  async function catchUpMs(): Promise<number> {
    const end = new AbortController();
    const startedAt = performance.now();
    let tookMs = Number.POSITIVE_INFINITY;
    const timer = setTimeout(() => end.abort(), 5_000);
    const onCaughtUp = () => {
      tookMs = performance.now() - startedAt;
      end.abort();
    };
    for await (const _ of events.capacity.watch({ signal: end.signal, onCaughtUp }));
    clearTimeout(timer);
    return tookMs;
  }

  it('although entries are replaced at the same time', async () => {
    let isOver = false;
    const writers = Array.from({ length: 8 }, async (_, i) => {
      while (!isOver) {
        await events.capacity.advertise(advert(i));
        await sleep(Math.random() * 3);
      }
    });
    await sleep(50);
    const late: number[] = [];
    for (let round = 0; round < 30; round++) if ((await catchUpMs()) > LATE_MS) late.push(round);
    isOver = true;
    await Promise.all(writers);
    expect(late).toEqual([]);
  }, 60_000);

  it('although entries were replaced, and then nobody writes any more', async () => {
    const late: number[] = [];
    for (let round = 0; round < 60; round++) {
      const writers = Array.from({ length: 8 }, async (_, i) => {
        await events.capacity.advertise(advert(i));
        await events.capacity.advertise(advert(i));
      });
      await sleep(Math.random() * 3);
      const took = catchUpMs();
      await Promise.all(writers);
      if ((await took) > LATE_MS) late.push(round);
    }
    expect(late).toEqual([]);
  }, 60_000);

  it('although entries were removed, and nothing came in their place', async () => {
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 8 }, (_, i) => events.capacity.advertise(advert(i))));
      const took = catchUpMs();
      await purgeAdverts();
      expect(await took).toBeLessThanOrEqual(LATE_MS);
    }
  }, 60_000);
});
