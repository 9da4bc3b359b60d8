import { setTimeout as sleep } from 'node:timers/promises';
import { ArtifactService, CapacityService, PipelineService, RunState } from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import { createClient, type RunningService } from '@agentforge/service-kit';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { HISTORY_VERSION } from '../src/projection/history-entry.js';
import {
  complete,
  type FrontDoors,
  GRAPH,
  type Payload,
  parent,
  startFrontDoors,
} from './start-front-door.js';

const nameOf = (i: number) => `${parent}/runs/r${i}`;

/** A finished run of one step with one artifact; nobody was asked. */
const history = (i: number): Payload[] => {
  const name = nameOf(i);
  const digest = `sha256:${i.toString(16).padStart(64, '0')}`;
  const ref = { digest, type: 'report', name: `report ${i}`, mediaType: 'text/plain', sizeBytes: BigInt(i) };
  const result = { outcome: 'done', outputs: [{ port: 'report', artifacts: [ref] }] };
  return [
    {
      case: 'runCreated',
      value: {
        displayName: `run ${i}`,
        labels: { parity: i % 2 ? 'odd' : 'even' },
        requestId: `request-${i}`,
        graph: { steps: [{ id: 'a', phase: i % 3 ? 'noop' : 'third' }] },
      },
    },
    ...complete(name, result),
  ];
};

describe('snapshots of the front door', () => {
  let doors: FrontDoors;
  let events: Events;
  const start = () => doors.start();
  const stop = (service: RunningService) => doors.stop(service);
  const write = async (i: number, payloads = history(i)): Promise<void> => {
    const revision = await events.runs.revisionOf(nameOf(i));
    const all = payloads.map((payload) => ({ time: timestampNow(), actor: 'test', payload }));
    await events.runs.append(nameOf(i), all, revision);
  };
  /** Everything that the front door says about history. */
  const picture = async (service: RunningService): Promise<object> => {
    const client = createClient(PipelineService, service.grpcAddress);
    const artifacts = createClient(ArtifactService, service.grpcAddress);
    try {
      const runs = (await client.listRuns({ parent, pageSize: 1_000 })).runs;
      const filter = 'phase = third AND labels.parity = odd AND state = COMPLETED';
      const thirds = (await client.listRuns({ parent, filter, pageSize: 1_000 })).runs;
      const full = await Promise.all(
        runs.slice(0, 5).map(async ({ name }) => (await client.getRun({ name })).run),
      );
      const made = (await artifacts.listArtifacts({ pageSize: 1_000 })).artifacts;
      const origins = await Promise.all(
        made
          .slice(0, 10)
          .map(async ({ ref }) => (await artifacts.getLineage({ digest: ref?.digest ?? '' })).edges),
      );
      const capacity = doors.client(CapacityService, service);
      const bytes = await Promise.all(
        ['p', 'q'].map(async (project) => {
          const { quota } = await capacity.getQuota({ name: `projects/${project}/quota` });
          return quota?.usage?.artifactBytes;
        }),
      );
      const ended = (await client.listRuns({ parent, orderBy: 'end_time', pageSize: 1_000 })).runs;
      return { runs, thirds: thirds.map(({ name }) => name), full, made, origins, ended, bytes };
    } finally {
      client.close();
      artifacts.close();
    }
  };
  /** The picture that a front door has which replays everything. */
  const replayed = async (): Promise<object> => {
    const { streams } = events['connection'].manager;
    await streams.purge('KV_forge-snapshots', { filter: '$KV.forge-snapshots.history.>' });
    const service = await start();
    const seen = await picture(service);
    await stop(service);
    return seen;
  };
  const head = () => events.snapshots('history', HISTORY_VERSION).load();

  beforeAll(async () => {
    doors = await startFrontDoors();
    events = doors.events;
    for (let i = 1; i <= 60; i++) await write(i);
    for (let i = 61; i <= 63; i++) await write(i, history(i).slice(0, 3));
  }, 150_000);
  afterAll(() => doors.end(), 150_000);

  it('give what a replay of the whole log gives, also with what came after them', async () => {
    const first = await start();
    const before = await picture(first);
    await stop(first);
    const written = await head();
    expect(written?.openRuns).toEqual([61, 62, 63].map(nameOf));
    expect(written?.chunks.reduce((sum, { entries }) => sum + entries, 0)).toBe(60);
    const second = await start();
    expect(await picture(second)).toEqual(before);
    await stop(second);
    await write(61, history(61).slice(3));
    await write(64);
    await write(7, [{ case: 'runRetried', value: { stepIds: ['a'] } }]);
    const third = await start();
    const after = await picture(third);
    await stop(third);
    expect((await head())?.openRuns.toSorted()).toEqual([62, 63, 7].map(nameOf).toSorted());
    const fourth = await start();
    expect(await picture(fourth)).toEqual(after);
    await stop(fourth);
    expect(await replayed()).toEqual(after);
  }, 150_000);

  it('credit content to the project that stored it first, also when its run ended later', async () => {
    const ours = `${parent}/runs/shared`;
    const theirs = 'projects/q/runs/shared';
    const append = async (name: string, payloads: readonly Payload[]) =>
      events.runs.append(
        name,
        payloads.map((payload) => ({ time: timestampNow(), actor: 'test', payload })),
        await events.runs.revisionOf(name),
      );
    const story = (name: string) => {
      const ref = { digest: `sha256:${'f'.repeat(64)}`, type: 'report', name: 'shared', sizeBytes: 1_000n };
      const outputs = [{ port: 'report', artifacts: [ref] }];
      const created: Payload = { case: 'runCreated', value: { graph: GRAPH } };
      return [created, ...complete(name, { outcome: 'done', outputs })];
    };
    const first = await start();
    const before = (await picture(first)) as { bytes: bigint[] };
    await append(theirs, story(theirs).slice(0, -1));
    await append(ours, story(ours));
    await append(theirs, story(theirs).slice(-1));
    const client = doors.client(PipelineService, first);
    const hasEnded = async () => (await client.getRun({ name: theirs })).run?.state === RunState.COMPLETED;
    while (!(await hasEnded().catch(() => false))) await sleep(20);
    const live = (await picture(first)) as { bytes: bigint[] };
    expect(live.bytes).toEqual([before.bytes[0], (before.bytes[1] ?? 0n) + 1_000n]);
    await stop(first);
    const second = await start();
    expect(await picture(second)).toEqual(live);
    await stop(second);
    expect(await replayed()).toEqual(live);
  }, 150_000);

  it('are what a start reads instead of the log', async () => {
    const before = await head();
    const { chunks } = before ?? { chunks: [] };
    expect(chunks).toHaveLength(1);
    const store = events.snapshots('history', HISTORY_VERSION);
    const entries: unknown[] = [];
    if (before) for await (const some of store.entries(before)) entries.push(...some);
    const marked = entries.map((entry) => {
      const { run, ...rest } = entry as { run: { displayName: string } };
      return { ...rest, run: { ...run, displayName: `kept ${run.displayName}` } };
    });
    await store.save({ upTo: before?.upTo ?? 0n, openRuns: before?.openRuns ?? [] }, marked, before);
    const service = await start();
    const client = createClient(PipelineService, service.grpcAddress);
    const { runs } = await client.listRuns({ parent, filter: 'display_name : kept', pageSize: 1_000 });
    // Also the run that was retried is in there as it had ended; its log says otherwise, and that counts.
    expect(runs.map(({ name }) => name)).not.toContain(nameOf(7));
    expect(runs.length).toBeGreaterThan(55);
    client.close();
    await stop(service);
  }, 150_000);

  it.each([
    [
      'a chunk is damaged',
      async () => {
        const key = (await head())?.chunks[0]?.key ?? '';
        await events['buckets'].snapshots.put(key, Buffer.from('damaged'));
      },
    ],
    [
      'a chunk is gone',
      async () => {
        const key = (await head())?.chunks[0]?.key ?? '';
        await events['buckets'].snapshots.purge(key);
      },
    ],
    [
      'the head is damaged',
      async () => {
        await events['buckets'].snapshots.put('history.head', Buffer.from('damaged'));
      },
    ],
    [
      'another version wrote it',
      async () => {
        const known = await head();
        await events['buckets'].snapshots.delete('history.head');
        await events
          .snapshots('history', HISTORY_VERSION + 1)
          .save({ upTo: known?.upTo ?? 0n, openRuns: [] }, [{ other: 1 }], undefined);
      },
    ],
    [
      'it goes further than the log',
      async () => {
        const known = await head();
        await events.snapshots('history', HISTORY_VERSION).save({ upTo: 10n ** 9n, openRuns: [] }, [], known);
      },
    ],
  ])(
    'are not used when %s: the log is replayed, and a good one is written',
    async (_, damage) => {
      const truth = await replayed();
      expect(await head()).toBeDefined();
      await damage();
      const service = await start();
      expect(await picture(service)).toEqual(truth);
      await stop(service);
      const healed = await head();
      expect(healed?.upTo).toBe((await events.runs.extent()).lastSequence);
      const again = await start();
      expect(await picture(again)).toEqual(truth);
      await stop(again);
    },
    60_000,
  );

  it('of several replicas lose nothing', async () => {
    const replicas = await Promise.all([start(), start(), start()]);
    for (let i = 100; i < 130; i++) await write(i);
    const client = createClient(PipelineService, replicas[0]?.grpcAddress ?? '');
    while ((await client.listRuns({ parent, filter: 'display_name = "run 129"' })).runs.length === 0);
    client.close();
    await Promise.all(replicas.map(stop));
    const next = await start();
    const seen = await picture(next);
    await stop(next);
    expect(await replayed()).toEqual(seen);
  }, 150_000);
});
