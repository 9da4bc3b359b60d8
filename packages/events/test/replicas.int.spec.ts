import type { Events, ReplicaWord } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { until } from './histories.js';

describe('replicas', () => {
  let nats: NatsServer;
  let one: Events;
  let two: Events;

  beforeAll(async () => {
    nats = await startNatsServer();
    one = await connectForTest(nats.url);
    two = await connectForTest(nats.url);
  });
  afterAll(async () => {
    await one.close();
    await two.close();
    await nats.stop();
  });

  it('hear of each other at once, and of one that leaves', async () => {
    const words: Record<'a' | 'b', ReplicaWord[]> = { a: [], b: [] };
    const a = one.replicas.join('a', (word) => words.a.push(word));
    const b = two.replicas.join('b', (word) => words.b.push(word));
    await until(() => words.b.some(({ id }) => id === 'a') && words.a.some(({ id }) => id === 'b'));
    await b.leave();
    await until(() => words.a.at(-1)?.kind === 'leaving');
    await a.leave();
  });

  it('share the clock of the server', async () => {
    const { serverMs, atMs, uncertaintyMs } = await one.serverTime();
    const expectedMs = Date.now() - (performance.now() - atMs);
    expect(Math.abs(serverMs - expectedMs)).toBeLessThan(uncertaintyMs + 50);
  });
});
