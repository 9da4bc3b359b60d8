import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactService, PipelineService } from '@agentforge/contracts';
import { attemptIdOf, type Events, type RunEventInit } from '@agentforge/events';
import { connectForTest, startNatsServer } from '@agentforge/events/testing';
import { createClient, createService, type RunningService } from '@agentforge/service-kit';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { AppModule } from '../src/app.module.js';
import { settings } from '../src/config.js';
import { HISTORY_VERSION } from '../src/projection/history-entry.js';
import { startStubOrchestrator } from './stub-orchestrator.js';

const parent = 'projects/p';
const nameOf = (i: number) => `${parent}/runs/r${i}`;

/** A finished run of one step with one artifact; nobody was asked. */
const history = (i: number): NonNullable<RunEventInit['payload']>[] => {
  const name = nameOf(i);
  const attemptId = attemptIdOf(name, 'a', 1);
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
    { case: 'stepReady', value: { stepId: 'a' } },
    { case: 'stepScheduled', value: { stepId: 'a', attemptId, number: 1, fencingToken: 1n } },
    { case: 'stepStarted', value: { stepId: 'a', attemptId, worker: 'w' } },
    { case: 'stepReported', value: { stepId: 'a', attemptId, result } },
    { case: 'stepCompleted', value: { stepId: 'a' } },
    { case: 'runCompleted', value: {} },
  ];
};

describe('snapshots of the front door', () => {
  let nats: Awaited<ReturnType<typeof startNatsServer>>;
  let events: Events;
  let directory: string;
  let stub: RunningService;
  const services: RunningService[] = [];

  const start = async (): Promise<RunningService> => {
    const service = await createService(AppModule, {
      name: 'pipeline-controller',
      settings,
      env: {
        FORGE_GRPC_PORT: '0',
        FORGE_HTTP_PORT: '0',
        FORGE_LOG_LEVEL: 'silent',
        FORGE_NATS_URL: nats.url,
        FORGE_ARTIFACT_DIR: directory,
        FORGE_ORCHESTRATOR_ADDRESS: stub.grpcAddress,
      },
    });
    services.push(service);
    return service;
  };
  const stop = async (service: RunningService): Promise<void> => {
    services.splice(services.indexOf(service), 1);
    await service.drain('test');
  };
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
      const ended = (await client.listRuns({ parent, orderBy: 'end_time', pageSize: 1_000 })).runs;
      return { runs, thirds: thirds.map(({ name }) => name), full, made, origins, ended };
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
    nats = await startNatsServer();
    events = await connectForTest(nats.url);
    directory = await mkdtemp(join(tmpdir(), 'controller-'));
    stub = await startStubOrchestrator(events);
    for (let i = 1; i <= 60; i++) await write(i);
    for (let i = 61; i <= 63; i++) await write(i, history(i).slice(0, 3));
  }, 150_000);
  afterAll(async () => {
    for (const service of [...services]) await stop(service);
    await stub.drain('test');
    await events.close();
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  }, 150_000);

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
