import { CHUNK_ENTRIES, type Events } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { created, oneHourAhead, RUN } from './histories.js';

describe('SnapshotStore', () => {
  let nats: NatsServer;
  let events: Events;

  beforeAll(async () => {
    nats = await startNatsServer();
    events = await connectForTest(nats.url);
    await events.runs.append(RUN, [created({ one: [] })], 0n);
  });
  afterAll(async () => {
    await events.close();
    await nats.stop();
  });

  const entriesOf = async (store: ReturnType<Events['snapshots']>): Promise<unknown[]> => {
    const snapshot = await store.load();
    const all: unknown[] = [];
    if (snapshot) for await (const entries of store.entries(snapshot)) all.push(...entries);
    return all;
  };
  const keys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const key of await events['buckets'].snapshots.keys('history.chunk.*')) found.push(key);
    return found;
  };
  const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

  it('keeps a head and entries in the order in which they came, in few chunks, and nothing else', async () => {
    const store = events.snapshots('history', 1);
    expect(await store.load()).toBeUndefined();
    let base = await store.save({ upTo: 1n, openRuns: [RUN] }, numbers(0, 10), undefined);
    expect(await store.load()).toEqual(base);
    expect(base).toMatchObject({ upTo: 1n, openRuns: [RUN] });
    base = await store.save({ upTo: 1n, openRuns: [] }, numbers(10, CHUNK_ENTRIES - 20), base);
    expect(base.chunks).toHaveLength(1);
    base = await store.save({ upTo: 1n, openRuns: [] }, numbers(CHUNK_ENTRIES - 10, CHUNK_ENTRIES), base);
    base = await store.save({ upTo: 1n, openRuns: [] }, [], base);
    expect(base.chunks.map(({ entries }) => entries)).toEqual([CHUNK_ENTRIES - 10, CHUNK_ENTRIES]);
    expect(await entriesOf(store)).toEqual(numbers(0, 2 * CHUNK_ENTRIES - 10));
    expect((await keys()).sort()).toEqual(base.chunks.map(({ key }) => key).sort());
  });

  it('lets one of two writers win, and leaves nothing of the other', async () => {
    const store = events.snapshots('history', 1);
    const base = await store.load();
    const results = await Promise.allSettled(
      ['a', 'b', 'c'].map((writer) => store.save({ upTo: 1n, openRuns: [writer] }, [writer], base)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ABORTED' });
    const winner = (await store.load())?.openRuns[0];
    expect((await entriesOf(store)).at(-1)).toBe(winner);
    expect((await keys()).sort()).toEqual((await store.load())?.chunks.map(({ key }) => key).sort());
  });

  it('leaves alone what another replica has just written, however wrong the clock of this machine is', async () => {
    const { snapshots } = events['buckets'];
    const chunk = `history.chunk.${Date.now()}-young`;
    await snapshots.put(chunk, 'a writer is about to name it');
    const store = events.snapshots('history', 1);
    const base = await store.load();
    await oneHourAhead(() => store.save({ upTo: 1n, openRuns: [] }, ['next'], base));
    expect(await keys()).toContain(chunk);
    await snapshots.purge(chunk);
  });

  it('is good although what it replaces could not be removed', async () => {
    const { streams } = events['connection'].manager;
    const purge = streams.purge.bind(streams);
    const store = events.snapshots('history', 1);
    streams.purge = () => Promise.reject(new Error('the server is away'));
    const saved = await store
      .save({ upTo: 1n, openRuns: [] }, ['last'], await store.load())
      .finally(() => Object.assign(streams, { purge }));
    expect(await store.load()).toEqual(saved);
    expect((await entriesOf(store)).at(-1)).toBe('last');
    const left = (await keys()).filter((key) => !saved.chunks.some((chunk) => chunk.key === key));
    for (const key of left) await events['buckets'].snapshots.purge(key);
  });

  it('splits chunks that would not fit into a message', async () => {
    const store = events.snapshots('history', 1);
    const base = await store.load();
    const random = () => Array.from({ length: 40_000 }, () => Math.random().toString(36)).join('');
    const large = Array.from({ length: 4 }, random);
    await store.save({ upTo: 1n, openRuns: [] }, large, base);
    expect((await entriesOf(store)).slice(-4)).toEqual(large);
    expect((await store.load())?.chunks.length).toBeGreaterThan(3);
  });
});
