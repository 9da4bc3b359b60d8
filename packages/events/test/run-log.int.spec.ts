import { RunState } from '@agentforge/contracts';
import {
  BatchTooLargeError,
  type Events,
  InvalidRunNameError,
  RevisionConflictError,
  type RunBatch,
} from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { created, event, RUN, until } from './histories.js';

describe('RunLog', () => {
  let nats: NatsServer;
  let a: Events;
  let b: Events;

  beforeAll(async () => {
    nats = await startNatsServer();
    a = await connectForTest(nats.url, { name: 'a' });
    b = await connectForTest(nats.url, { name: 'b' });
  });

  afterAll(async () => {
    await a.close();
    await b.close();
    await nats.stop();
  });

  const mark = (text: string) => event({ case: 'runCancelRequested', value: { reason: text } });

  it('appends, reads and folds a run', async () => {
    const run = 'projects/test/runs/basic';
    expect(await a.runs.revisionOf(run)).toBe(0n);
    expect(await a.runs.read(run)).toEqual([]);
    expect(await a.runs.load(run)).toBeUndefined();
    const first = await a.runs.append(run, [created({ one: [] })], 0n);
    const second = await a.runs.append(run, [event({ case: 'runPaused', value: {} })], first);
    expect(second).toBeGreaterThan(first);
    expect(await b.runs.revisionOf(run)).toBe(second);
    const batches = await b.runs.read(run);
    expect(batches.map(({ revision }) => revision)).toEqual([first, second]);
    expect(await b.runs.read(run, { afterRevision: first })).toEqual([batches[1]]);
    const state = await b.runs.load(run);
    expect(state?.state).toBe(RunState.PAUSED);
    expect(state?.revision).toBe(second);
  });

  it('refuses an append on an old revision and says which is current', async () => {
    const run = 'projects/test/runs/conflict';
    const first = await a.runs.append(run, [created({ one: [] })], 0n);
    const conflict = b.runs.append(run, [mark('late')], 0n);
    await expect(conflict).rejects.toThrow(RevisionConflictError);
    await expect(conflict).rejects.toMatchObject({ code: 'ABORTED', actualRevision: first });
    expect(await a.runs.read(run)).toHaveLength(1);
  });

  it('refuses a batch that is too large and a name that is none', async () => {
    const huge = mark('x'.repeat(1_000_000));
    await expect(a.runs.append(RUN, [huge], 0n)).rejects.toThrow(BatchTooLargeError);
    await expect(a.runs.append('projects/x/runs/a.b', [mark('x')], 0n)).rejects.toThrow(InvalidRunNameError);
    await expect(a.runs.append(RUN, [], 0n)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('lets exactly one of two racing writers commit each revision', async () => {
    const run = 'projects/test/runs/race';
    const base = await a.runs.append(run, [created({ one: [] })], 0n);
    const write = async (events: Events, name: string) => {
      let revision = base;
      let conflicts = 0;
      for (let i = 0; i < 50; ) {
        try {
          revision = await events.runs.append(run, [mark(`${name}${i}`)], revision);
          i++;
        } catch (error) {
          if (!(error instanceof RevisionConflictError)) throw error;
          conflicts++;
          revision = await events.runs.revisionOf(run);
        }
      }
      return conflicts;
    };
    const conflicts = await Promise.all([write(a, 'a'), write(b, 'b')]);
    const batches = await a.runs.read(run);
    const reasons = batches.slice(1).map(reasonOf);
    expect(reasons).toHaveLength(100);
    expect(new Set(reasons).size).toBe(100);
    expect(reasons.filter((reason) => reason.startsWith('a'))).toEqual(numbered('a', 50));
    expect(reasons.filter((reason) => reason.startsWith('b'))).toEqual(numbered('b', 50));
    expect(conflicts[0] + conflicts[1]).toBeGreaterThan(0);
  });

  it('tails all runs from the start and one run from a revision', async () => {
    const run = 'projects/test/runs/tail';
    const first = await a.runs.append(run, [created({ one: [] })], 0n);
    const end = new AbortController();
    const all: RunBatch[] = [];
    const one: RunBatch[] = [];
    let caughtUpAt = -1;
    const readers = [
      collect(
        b.runs.tail({
          signal: end.signal,
          onCaughtUp: () => {
            caughtUpAt = all.length;
          },
        }),
        all,
      ),
      collect(b.runs.tailRun(run, { afterRevision: first, signal: end.signal }), one),
    ];
    await until(() => caughtUpAt >= 0);
    expect(caughtUpAt).toBe(all.length);
    expect(all.at(-1)?.revision).toBe(first);
    let revision = first;
    for (let i = 0; i < 20; i++) revision = await a.runs.append(run, [mark(`t${i}`)], revision);
    await until(() => one.length === 20 && all.at(-1)?.revision === revision);
    expect(one.map(reasonOf)).toEqual(numbered('t', 20));
    expect(all.map((batch) => batch.revision)).toEqual(sortedUnique(all));
    end.abort();
    await Promise.all(readers);
  });

  it('says from every sequence when a tail has taken what was there', async () => {
    const runs = Array.from({ length: 12 }, (_, i) => `projects/test/runs/many${i}`);
    const revisions = new Map<string, bigint>();
    for (let round = 0; round < 6; round++)
      for (const run of round % 2 ? runs.slice(0, 5) : runs)
        revisions.set(run, await a.runs.append(run, [mark('x')], revisions.get(run) ?? 0n));
    const newest = revisions.get(runs.at(-1) ?? '') ?? 0n;
    for (let back = 0n; back <= 45n; back++) {
      const end = new AbortController();
      const seen: RunBatch[] = [];
      let told = -1;
      const onCaughtUp = () => {
        told = seen.length;
      };
      const tail = b.runs.tail({ afterSequence: newest - back, signal: end.signal, onCaughtUp });
      const reading = collect(tail, seen);
      await until(() => told >= 0);
      expect(told).toBeGreaterThanOrEqual(Number(back));
      end.abort();
      await reading;
    }
  });

  it('says so too when the newest message was deleted while it was read', async () => {
    const run = 'projects/test/runs/deleted';
    const first = await a.runs.append(run, [created({ one: [] })], 0n);
    const second = await a.runs.append(run, [mark('x')], first);
    const { consumers, streams } = b['connection'].manager;
    const add = consumers.add.bind(consumers);
    consumers.add = async (stream, config) => {
      const info = await add(stream, config);
      await streams.deleteMessage(stream, Number(second));
      return info;
    };
    let isCaughtUp = false;
    const end = new AbortController();
    const onCaughtUp = () => {
      isCaughtUp = true;
    };
    const seen: RunBatch[] = [];
    const reading = collect(b.runs.tailRun(run, { signal: end.signal, onCaughtUp }), seen);
    await until(() => isCaughtUp);
    consumers.add = add;
    expect(seen.map(({ revision }) => revision)).toEqual([first]);
    end.abort();
    await reading;
  });

  it('reads a slow tail without fetching everything ahead, and misses nothing', async () => {
    const run = 'projects/test/runs/slow';
    let revision = 0n;
    for (let i = 0; i < 400; i++)
      revision = await a.runs.append(run, [i === 0 ? created({ one: [] }) : mark(`s${i}`)], revision);
    const seen: string[] = [];
    for await (const batch of b.runs.tailRun(run)) {
      if (seen.length % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      seen.push(reasonOf(batch));
      if (seen.length === 400) break;
    }
    expect(seen.slice(1)).toEqual(numbered('s', 400).slice(1));
  });
});

function reasonOf(batch: RunBatch): string {
  const payload = batch.events[0]?.payload;
  return payload?.case === 'runCancelRequested' ? payload.value.reason : '';
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

function sortedUnique(batches: RunBatch[]): bigint[] {
  return [...new Set(batches.map(({ revision }) => revision))].sort((x, y) => Number(x - y));
}

async function collect<T>(source: AsyncIterable<T>, into: T[]): Promise<void> {
  for await (const item of source) into.push(item);
}
