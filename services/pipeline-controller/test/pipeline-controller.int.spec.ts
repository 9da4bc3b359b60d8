import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ArtifactService,
  CapacityService,
  PhaseDescriptorSchema,
  PipelineService,
  RunState,
  RunView,
  StepProgressSchema,
  StepState,
  WaitKind,
  type WatchRunResponse,
} from '@agentforge/contracts';
import { attemptIdOf, type Events, type RunEventInit } from '@agentforge/events';
import { connectForTest, publishRaw, startNatsServer } from '@agentforge/events/testing';
import { type Client, createClient, createService, type RunningService } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { AppModule } from '../src/app.module.js';
import { settings } from '../src/config.js';
import { commit, engineStatus, startStubOrchestrator } from './stub-orchestrator.js';

type Payload = NonNullable<RunEventInit['payload']>;

const GRAPH = { steps: [{ id: 'a', phase: 'noop' }] };
const parent = 'projects/p';

/** Events that take a step of a fresh run to its end. */
const complete = (name: string, result: object = { outcome: 'done' }): Payload[] => {
  const attemptId = attemptIdOf(name, 'a', 1);
  return [
    { case: 'stepReady', value: { stepId: 'a' } },
    { case: 'stepScheduled', value: { stepId: 'a', attemptId, number: 1, fencingToken: 1n } },
    { case: 'stepStarted', value: { stepId: 'a', attemptId, worker: 'w' } },
    { case: 'stepReported', value: { stepId: 'a', attemptId, result } },
    { case: 'stepCompleted', value: { stepId: 'a' } },
    { case: 'runCompleted', value: {} },
  ];
};

describe('pipeline-controller', () => {
  let nats: Awaited<ReturnType<typeof startNatsServer>>;
  let events: Events;
  let directory: string;
  let stub: RunningService;
  let service: RunningService;
  let client: Client<typeof PipelineService>;
  let artifacts: Client<typeof ArtifactService>;

  const startService = () =>
    createService(AppModule, {
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

  beforeAll(async () => {
    nats = await startNatsServer();
    events = await connectForTest(nats.url);
    directory = await mkdtemp(join(tmpdir(), 'controller-'));
    stub = await startStubOrchestrator(events);
    service = await startService();
    client = createClient(PipelineService, service.grpcAddress);
    artifacts = createClient(ArtifactService, service.grpcAddress);
  }, 60_000);
  afterAll(async () => {
    client.close();
    artifacts.close();
    await service.drain('test');
    await stub.drain('test');
    await events.close();
    await nats.stop();
    await rm(directory, { recursive: true, force: true });
  }, 60_000);

  const createRun = async (over: object = {}): Promise<string> => {
    const { run } = await client.createRun({ parent, graph: GRAPH, ...over });
    return run?.name ?? '';
  };
  const collect = async (request: Parameters<typeof client.watchRun>[0]): Promise<WatchRunResponse[]> => {
    const seen: WatchRunResponse[] = [];
    for await (const update of client.watchRun(request)) seen.push(update);
    return seen;
  };
  const casesOf = (updates: readonly WatchRunResponse[]) =>
    updates.map(({ update }) => (update.case === 'event' ? update.value.payload.case : update.case));

  describe('CreateRun', () => {
    it('chooses an id, and the run is in lists at once', async () => {
      const name = await createRun({ parent: 'projects/fresh', displayName: 'x' });
      expect(name).toMatch(/^projects\/fresh\/runs\/run-[a-z0-9]{17}$/);
      const { runs } = await client.listRuns({ parent: 'projects/fresh' });
      expect(runs.map((run) => run.name)).toEqual([name]);
    });

    it('takes the id of the caller, and returns the same run for the same request id', async () => {
      expect(await createRun({ runId: 'mine' })).toBe('projects/p/runs/mine');
      const requestId = '6f2c1d1e-0000-4000-8000-000000000001';
      const both = await Promise.all([createRun({ requestId }), createRun({ requestId })]);
      expect(both[0]).toBe(both[1]);
      await expect(createRun({ requestId, runId: 'other' })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
    });

    it('holds a request id for one run over several replicas, unless that run was refused', async () => {
      const second = await startService();
      const other = createClient(PipelineService, second.grpcAddress);
      const asks = (through: typeof client, requestId: string, runId: string) =>
        through.createRun({ parent, graph: GRAPH, requestId, runId });
      for (let i = 0; i < 5; i++) {
        const both = await Promise.allSettled([
          asks(client, `race-${i}`, `race-a${i}`),
          asks(other, `race-${i}`, `race-b${i}`),
        ]);
        const refused = both.filter((one) => one.status === 'rejected');
        const names = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value.run?.name ?? ''] : []));
        expect(names).toHaveLength(1);
        for (const { reason } of refused) expect(reason).toMatchObject({ reason: 'REQUEST_ID_REUSED' });
      }
      await asks(client, 'once', 'once-a');
      await expect(asks(other, 'once', 'once-b')).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'REQUEST_ID_REUSED',
      });
      expect((await asks(other, 'once', '')).run?.name).toBe('projects/p/runs/once-a');
      const wrong = { parent, requestId: 'corrected', runId: 'wrong', displayName: 'refuse' };
      await expect(client.createRun({ ...wrong, graph: GRAPH })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      expect((await asks(other, 'corrected', 'right')).run?.name).toBe('projects/p/runs/right');
      other.close();
      await second.drain('test');
    });

    it('refuses malformed names', async () => {
      await expect(createRun({ parent: 'p' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(createRun({ parent: 'projects/-' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(createRun({ runId: '../x' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        fieldViolations: [{ field: 'run_id' }],
      });
    });
  });

  it('shows a run whose log is damaged as it was before, with the reason', async () => {
    const name = await createRun();
    const subject = `forge.runs.p.${name.split('/').at(-1)}`;
    await publishRaw(nats.url, { subject, data: Buffer.from([0xff, 0xff]) });
    const shown = async () => (await client.getRun({ name })).run;
    while (!(await shown())?.quarantine) await sleep(20);
    expect(await shown()).toMatchObject({
      state: RunState.PENDING,
      quarantine: { code: 'DATA_LOSS', reason: 'EVENT_LOG_CORRUPT' },
    });
    expect(await collect({ name }).catch((error: unknown) => error)).toMatchObject({ code: 'DATA_LOSS' });
    const page = await client.listRunEvents({ name });
    expect(page.events.map(({ payload }) => payload.case)).toEqual(['runCreated']);
  });

  it('passes specifications, commands and their refusals on', async () => {
    expect((await client.validateRunSpec({})).violations).toHaveLength(1);
    expect((await client.validateRunSpec({ graph: GRAPH })).graph?.steps).toHaveLength(1);
    const name = await createRun();
    expect((await client.pauseRun({ name })).run?.state).toBe(RunState.PAUSED);
    expect((await client.getRun({ name })).run?.state).toBe(RunState.PAUSED);
    expect((await client.resumeRun({ name })).run?.state).toBe(RunState.PENDING);
    await expect(client.cancelRun({ name, reason: 'refuse' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    expect((await client.cancelRun({ name })).run?.state).toBe(RunState.CANCELLING);
    await expect(client.getRun({ name: 'projects/p/runs/none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(client.pauseRun({ name: 'x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  describe('ListRuns', () => {
    const project = 'projects/lists';
    const names: string[] = [];

    beforeAll(async () => {
      for (let i = 0; i < 7; i++)
        names.push(
          await createRun({
            parent: project,
            displayName: `run ${i}`,
            labels: { parity: i % 2 ? 'odd' : 'even' },
          }),
        );
      const done = names[3] ?? '';
      await commit(events, done, complete(done));
      for (let i = 0; i < 200 && (await client.getRun({ name: done })).run?.state !== RunState.COMPLETED; i++)
        await sleep(10);
    });

    const pages = async (request: object): Promise<string[]> => {
      const seen: string[] = [];
      for (let pageToken = ''; ; ) {
        const page = await client.listRuns({ parent: project, pageSize: 3, ...request, pageToken });
        expect(page.runs.length).toBeLessThanOrEqual(3);
        seen.push(...page.runs.map((run) => run.name));
        if (page.nextPageToken === '') return seen;
        pageToken = page.nextPageToken;
      }
    };

    it('pages through all runs, newest first or oldest first', async () => {
      expect(await pages({})).toEqual([...names].reverse());
      expect(await pages({ orderBy: 'create_time' })).toEqual(names);
    });

    it('filters by state, name, phase, labels and time', async () => {
      expect(await pages({ filter: 'state = COMPLETED' })).toEqual([names[3]]);
      expect(await pages({ filter: 'labels.parity = odd AND phase = noop' })).toHaveLength(3);
      expect(await pages({ filter: 'display_name : "6"' })).toEqual([names[6]]);
      expect(await pages({ filter: 'create_time > "2020-01-01T00:00:00Z"' })).toHaveLength(7);
      expect(await pages({ filter: 'phase = bitnet' })).toEqual([]);
    });

    it('filters by outcome and by when runs started and ended, and orders by the end', async () => {
      expect(await pages({ filter: 'outcome = COMPLETED' })).toEqual([names[3]]);
      expect(await pages({ filter: 'outcome = NONE' })).toHaveLength(6);
      expect(await pages({ filter: 'end_time > "2020-01-01T00:00:00Z"' })).toEqual([names[3]]);
      expect(await pages({ filter: 'end_time < "2020-01-01T00:00:00Z"' })).toEqual([]);
      expect(await pages({ filter: 'start_time > "2020-01-01T00:00:00Z"' })).toEqual([names[3]]);
      const goingOn = names.filter((name) => name !== names[3]);
      expect(await pages({ orderBy: 'end_time' })).toEqual([names[3], ...goingOn]);
      expect(await pages({ orderBy: 'end_time desc' })).toEqual([...goingOn.reverse(), names[3]]);
    });

    it('lists all projects under "-", and counts of their steps only', async () => {
      const { runs } = await client.listRuns({ parent: 'projects/-', filter: 'state = COMPLETED' });
      expect(runs.map((run) => run.name)).toContain(names[3]);
      expect(runs[0]).toMatchObject({
        steps: [],
        stepCount: 1,
        stepCounts: [{ state: StepState.COMPLETED, count: 1 }],
      });
      expect(runs[0]?.graph).toBeUndefined();
    });

    it('refuses page sizes, tokens, filters and orders that make no sense', async () => {
      const { nextPageToken } = await client.listRuns({ parent: project, pageSize: 1 });
      for (const request of [
        { pageSize: -1 },
        { pageSize: 1_001 },
        { pageToken: 'made-up' },
        { pageToken: nextPageToken, filter: 'state = FAILED' },
        { filter: 'state' },
        { orderBy: 'name' },
      ])
        await expect(client.listRuns({ parent: project, ...request })).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
    });
  });

  describe('of a large graph', () => {
    const steps = Array.from({ length: 2_500 }, (_, i) => ({
      id: `s${i}`,
      phase: i % 5 === 0 ? 'fifth' : 'noop',
      config: { text: 'x'.repeat(100) },
    }));

    it('GetRun gives what fits, BASIC no steps, and WatchRun begins with no more', async () => {
      const name = await createRun({ graph: { steps } });
      const full = (await client.getRun({ name })).run;
      expect(full).toMatchObject({ stepCount: 2_500 });
      expect(full?.steps).toHaveLength(1_000);
      expect(full?.graph?.steps.map(({ id }) => id)).toEqual(full?.steps.map(({ spec }) => spec?.id));
      const basic = (await client.getRun({ name, view: RunView.BASIC })).run;
      expect(basic).toMatchObject({
        name,
        steps: [],
        revision: full?.revision,
        stepCounts: [{ state: StepState.PENDING, count: 2_500 }],
      });
      for await (const { update } of client.watchRun({ name })) {
        expect(update.case === 'run' && update.value.steps).toHaveLength(1_000);
        break;
      }
    });

    it('GetRun and ListSteps stay below the size of a message, however large the steps are', async () => {
      const large = Array.from({ length: 40 }, (_, i) => ({
        id: `s${i}`,
        phase: 'noop',
        config: { text: 'x'.repeat(90_000) },
      }));
      const name = await createRun({ graph: { steps: large.slice(0, 8) } });
      for (let at = 8; at < large.length; at += 8)
        await commit(events, name, [{ case: 'stepsAdded', value: { steps: large.slice(at, at + 8) } }]);
      const full = (await client.getRun({ name })).run;
      expect(full).toMatchObject({ stepCount: 40 });
      expect(full?.steps.length).toBeLessThan(40);
      expect(await idsOf(name, { pageSize: 1_000 })).toEqual(large.map(({ id }) => id));
    });

    it('ListSteps pages through all, and filters by state and phase', async () => {
      const name = await createRun({ graph: { steps } });
      expect(await idsOf(name, { pageSize: 1_000 })).toEqual(steps.map(({ id }) => id));
      const fifths = steps.filter(({ phase }) => phase === 'fifth').map(({ id }) => id);
      expect(await idsOf(name, { filter: 'phase = fifth AND state = PENDING' })).toEqual(fifths);
      expect(await idsOf(name, { filter: 'state = FAILED' })).toEqual([]);
      const page = await client.listSteps({ parent: name });
      expect(page.steps).toHaveLength(100);
      expect(page.revision).toBe((await client.getRun({ name })).run?.revision);
      for (const bad of [{ pageSize: 1_001 }, { filter: 'id = x' }, { pageToken: 'x' }])
        await expect(client.listSteps({ parent: name, ...bad })).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        });
      await expect(client.listSteps({ parent: 'projects/p/runs/none' })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    const idsOf = async (parent: string, request: object): Promise<(string | undefined)[]> => {
      const ids: (string | undefined)[] = [];
      for (let pageToken = ''; ; ) {
        const page = await client.listSteps({ parent, pageToken, ...request });
        ids.push(...page.steps.map(({ spec }) => spec?.id));
        if (page.nextPageToken === '') return ids;
        pageToken = page.nextPageToken;
      }
    };
  });

  describe('ListRunEvents', () => {
    it('pages through every event in order, also within a batch', async () => {
      const name = await createRun();
      await commit(events, name, complete(name));
      await collect({ name });
      for (const pageSize of [1, 2, 4, 100]) {
        const seen: (string | undefined)[] = [];
        for (let pageToken = ''; ; ) {
          const page = await client.listRunEvents({ name, pageSize, pageToken });
          seen.push(...page.events.map(({ payload }) => payload.case));
          if (page.nextPageToken === '') break;
          pageToken = page.nextPageToken;
        }
        expect(seen).toEqual(['runCreated', ...complete(name).map((payload) => payload.case)]);
      }
      await expect(client.listRunEvents({ name: 'projects/p/runs/none' })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      await expect(client.listRunEvents({ name, pageToken: 'x' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });
  });

  describe('WatchRun', () => {
    it('gives the run, then every event, and ends when the run ends', async () => {
      const name = await createRun();
      const watching = collect({ name });
      await sleep(100);
      for (const payload of complete(name)) await commit(events, name, [payload]);
      expect(casesOf(await watching)).toEqual(['run', ...complete(name).map((payload) => payload.case)]);
    });

    it('goes on after a revision without a gap', async () => {
      const name = await createRun();
      const { run } = await client.getRun({ name });
      await commit(events, name, complete(name));
      const updates = await collect({ name, afterRevision: run?.revision ?? 0n });
      expect(casesOf(updates)).toEqual(['run', ...complete(name).map((payload) => payload.case)]);
      expect(casesOf(await collect({ name, afterRevision: updates.at(-1)?.revision ?? 0n }))).toEqual([
        'run',
      ]);
    });

    it('gives a run that has ended, and ends', async () => {
      const name = await createRun();
      await commit(events, name, complete(name));
      await collect({ name });
      expect(casesOf(await collect({ name }))).toEqual(['run']);
    });

    it('includes progress when asked', async () => {
      const name = await createRun();
      const attemptId = attemptIdOf(name, 'a', 1);
      const progress = { run: name, stepId: 'a', attemptId, time: timestampNow(), fraction: 0.5 };
      const seen: WatchRunResponse[] = [];
      for await (const update of client.watchRun({ name, includeProgress: true })) {
        seen.push(update);
        if (update.update.case === 'run') {
          events.progress.publish(create(StepProgressSchema, progress));
          await events.progress.flush();
        }
        if (update.update.case === 'progress') await commit(events, name, complete(name));
      }
      expect(casesOf(seen).slice(0, 2)).toEqual(['run', 'progress']);
      expect(seen[1]?.revision).toBe(0n);
    });

    it('loses no event for a reader that is slow, and follows a run that is retried', async () => {
      const name = await createRun();
      const seen: WatchRunResponse[] = [];
      const watching = (async () => {
        for await (const update of client.watchRun({ name })) {
          seen.push(update);
          if (seen.length % 50 === 0) await sleep(20);
        }
      })();
      await sleep(50);
      for (let i = 0; i < 200; i++)
        await commit(events, name, [{ case: i % 2 ? 'runResumed' : 'runPaused', value: {} }]);
      await commit(events, name, [...complete(name), { case: 'runRetried', value: { stepIds: ['a'] } }]);
      const again: Payload[] = [
        { case: 'stepReady', value: { stepId: 'a' } },
        { case: 'stepCancelled', value: { stepId: 'a' } },
        { case: 'runFailed', value: { failure: { code: 'ABORTED' } } },
      ];
      await commit(events, name, again);
      await watching;
      expect(seen).toHaveLength(1 + 200 + 7 + 3);
      expect(casesOf(seen).at(-1)).toBe('runFailed');
    }, 30_000);

    it('refuses a run that is not there', async () => {
      await expect(collect({ name: 'projects/p/runs/none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });
  });

  it('sets quotas, says what is used, and ends uploads and runs where the quota does', async () => {
    const capacity = createClient(CapacityService, service.grpcAddress);
    const name = 'projects/tight/quota';
    expect((await capacity.getQuota({ name })).quota).toMatchObject({
      name,
      maxArtifactBytes: 0n,
      etag: '0',
    });
    const { quota } = await capacity.updateQuota({
      quota: { name, maxArtifactBytes: 100n, maxRunningRuns: 2, weight: 3 },
      updateMask: { paths: ['max_artifact_bytes', 'weight'] },
    });
    expect(quota).toMatchObject({ maxArtifactBytes: 100n, maxRunningRuns: 0, weight: 3, etag: '1' });
    const send = async (bytes: number, letter: string, digest = '') =>
      artifacts.uploadArtifact(
        (async function* () {
          const header = { name: 'x', type: 'corpus', parent: 'projects/tight', digest };
          yield { part: { case: 'header' as const, value: header } };
          yield { part: { case: 'chunk' as const, value: Buffer.from(letter.repeat(bytes)) } };
        })(),
      );
    const known = await send(60, 'a');
    await send(60, 'a', known.ref?.digest);
    await expect(send(60, 'b')).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA_EXCEEDED',
      metadata: { quota: 'max_artifact_bytes', limit: '100', used: '120' },
    });
    await send(40, 'c');
    await expect(createRun({ parent: 'projects/tight' })).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' });
    engineStatus.usage = { runningRuns: 1, queuedRuns: 2, runningSteps: 3 };
    expect((await capacity.getQuota({ name })).quota?.usage).toMatchObject({
      runningRuns: 1,
      queuedRuns: 2,
      artifactBytes: 100n,
    });
    await expect(
      capacity.updateQuota({ quota: { name, etag: '7' }, updateMask: { paths: ['weight'] } }),
    ).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(
      capacity.updateQuota({ quota: { name, weight: 1_001 }, updateMask: { paths: ['weight', 'size'] } }),
    ).rejects.toMatchObject({ fieldViolations: [{ field: 'quota.weight' }, { field: 'update_mask' }] });
    await expect(capacity.getQuota({ name: 'tight' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    engineStatus.pools = [{ name: 'host', total: { cpu: 4 } }];
    expect((await capacity.getCapacity({})).pools).toMatchObject([{ name: 'host', total: { cpu: 4 } }]);
    capacity.close();
  });

  it('says why steps wait, and shows a run also while the engine says nothing', async () => {
    const name = await createRun();
    engineStatus.waits = [{ kind: WaitKind.QUEUED_BEHIND, message: 'behind others', position: 3 }];
    const { run } = await client.getRun({ name });
    expect(run?.steps[0]?.waits).toMatchObject([{ kind: WaitKind.QUEUED_BEHIND, position: 3 }]);
    const { waits } = await client.explainStep({ run: name, stepId: 'a' });
    expect(waits).toMatchObject([{ message: 'behind others' }]);
    engineStatus.waits = [];
    expect((await client.getRun({ name })).run?.steps[0]?.waits).toEqual([]);
    await expect(client.explainStep({ run: 'a', stepId: 'a' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [{ field: 'run' }],
    });
    await expect(client.explainStep({ run: name, stepId: 'z' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lists and describes phases, and names them when one is unknown', async () => {
    await events.phases.put(create(PhaseDescriptorSchema, { name: 'noop', version: '1' }));
    await events.phases.put(create(PhaseDescriptorSchema, { name: 'cognate', version: '2' }));
    expect((await client.listPhases({})).phases.map(({ name }) => name)).toEqual(['cognate', 'noop']);
    expect((await client.getPhase({ phase: 'noop' })).phase?.version).toBe('1');
    await expect(client.getPhase({ phase: 'nop' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('cognate, noop'),
    });
  });

  describe('artifacts', () => {
    const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    async function* parts(header: object | undefined, ...chunks: Uint8Array[]) {
      if (header) yield { part: { case: 'header' as const, value: { type: 'corpus', ...header } } };
      for (const value of chunks) yield { part: { case: 'chunk' as const, value } };
    }
    const text = new TextEncoder().encode('some text');
    const download = async (digest: string, path = ''): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const { chunk } of artifacts.downloadArtifact({ digest, path })) {
        expect(chunk.length).toBeLessThanOrEqual(2 ** 20);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    };

    it('are uploaded and downloaded in chunks, verified, described and listed', async () => {
      const big = new Uint8Array(3 * 2 ** 20 + 17).map((_, i) => (i * 31 + (i >> 11)) % 251);
      const pieces = [0, 1, 2, 3].map((i) => big.subarray(i * 2 ** 20, (i + 1) * 2 ** 20));
      const header = { name: 'big', mediaType: 'text/plain', digest: digestOf(big) };
      const { ref } = await artifacts.uploadArtifact(parts(header, ...pieces));
      expect(ref).toMatchObject({
        digest: digestOf(big),
        name: 'big',
        type: 'corpus',
        sizeBytes: BigInt(big.length),
      });
      expect((await download(digestOf(big))).equals(big)).toBe(true);
      expect(await artifacts.verifyArtifact({ digest: digestOf(big) })).toMatchObject({
        valid: true,
        problems: [],
      });
      const { artifact } = await artifacts.getArtifact({ digest: digestOf(big) });
      expect(artifact).toMatchObject({ ref: { name: 'big' } });
      expect(artifact?.producer).toBeUndefined();
      const listed = await artifacts.listArtifacts({ filter: 'type = corpus AND name = big' });
      expect(listed.artifacts.map((one) => one.ref?.digest)).toEqual([digestOf(big)]);
    });

    it('uploaded twice are listed once, and uploads outlive the service', async () => {
      const header = { name: 'twice' };
      await artifacts.uploadArtifact(parts(header, text));
      await artifacts.uploadArtifact(parts(header, text));
      const filter = 'name = twice';
      expect((await artifacts.listArtifacts({ filter })).artifacts).toHaveLength(1);
      const other = await startService();
      const second = createClient(ArtifactService, other.grpcAddress);
      expect((await second.listArtifacts({ filter })).artifacts).toHaveLength(1);
      second.close();
      await other.drain('test');
    });

    it('of steps are listed with what produced them', async () => {
      const { ref } = await artifacts.uploadArtifact(
        parts({ name: 'made', type: 'report' }, Uint8Array.of(1, 2)),
      );
      const name = await createRun();
      const outputs = [{ port: 'report', artifacts: [{ ...ref, name: 'made-by-run' }] }];
      await commit(events, name, complete(name, { outcome: 'done', outputs }));
      await collect({ name });
      const listed = await artifacts.listArtifacts({ filter: `run = "${name}" AND step = a` });
      expect(listed.artifacts).toMatchObject([
        { ref: { name: 'made-by-run' }, producer: { run: name, stepId: 'a', output: 'report' } },
      ]);
    });

    it('are followed to what they were made from and what was made from them', async () => {
      const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
      const outputsOf = (digit: string) => [
        { port: 'model', artifacts: [{ digest: digest(digit), name: digit }] },
      ];
      const stepOf = (digit: string) => ({
        steps: [
          {
            id: 'a',
            phase: 'noop',
            config: { n: 1 },
            seed: 7n,
            inputs: [
              {
                port: 'model',
                source: { case: 'artifacts' as const, value: { refs: [{ digest: digest(digit) }] } },
              },
            ],
          },
        ],
      });
      const first = await createRun({ graph: stepOf('6') });
      await commit(events, first, complete(first, { outcome: 'done', outputs: outputsOf('7') }));
      const second = await createRun({ graph: stepOf('7') });
      await commit(events, second, complete(second, { outcome: 'done', outputs: outputsOf('8') }));
      const idOf = (run: string) => `${run}/steps/a`;
      for (const end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
        const known = await artifacts
          .getLineage({ digest: digest('7'), direction: 2 })
          .catch(() => undefined);
        if (known?.edges.length === 2) break;
      }
      const up = await artifacts.getLineage({ digest: digest('8') });
      expect(up.edges.map(({ from, to, port }) => [from, to, port])).toEqual([
        [idOf(second), digest('8'), 'model'],
        [digest('7'), idOf(second), 'model'],
        [idOf(first), digest('7'), 'model'],
        [digest('6'), idOf(first), 'model'],
      ]);
      expect(up.nodes.map(({ id }) => id)).toEqual([
        digest('8'),
        idOf(second),
        digest('7'),
        idOf(first),
        digest('6'),
      ]);
      expect(up.nodes[1]?.node).toMatchObject({
        case: 'step',
        value: { run: second, stepId: 'a', phase: 'noop', config: { n: 1 }, seed: 7n },
      });
      const down = await artifacts.getLineage({ digest: digest('6'), direction: 2 });
      expect(down.edges).toHaveLength(4);
      expect(
        (await artifacts.getLineage({ digest: digest('6'), direction: 2, maxDepth: 1 })).edges,
      ).toHaveLength(2);
      const nodes: string[] = [];
      for (let pageToken = ''; ; ) {
        const page = await artifacts.getLineage({ digest: digest('8'), pageSize: 1, pageToken });
        expect(page.edges).toHaveLength(1);
        nodes.push(...page.nodes.map(({ id }) => id));
        if (page.nextPageToken === '') break;
        pageToken = page.nextPageToken;
      }
      expect(nodes).toEqual(up.nodes.map(({ id }) => id));
      for (const request of [
        { digest: 'x' },
        { digest: digest('8'), maxDepth: 65 },
        { digest: digest('8'), pageSize: -1 },
      ])
        await expect(artifacts.getLineage(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(artifacts.getLineage({ digest: digest('5') })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
    });

    it('are listed in pages', async () => {
      const filter = 'name : paged';
      for (let i = 0; i < 5; i++)
        await artifacts.uploadArtifact(parts({ name: `paged ${i}` }, Uint8Array.of(9, i)));
      const seen: (string | undefined)[] = [];
      for (let pageToken = ''; ; ) {
        const page = await artifacts.listArtifacts({ filter, pageSize: 2, pageToken });
        seen.push(...page.artifacts.map((one) => one.ref?.name));
        if (page.nextPageToken === '') break;
        pageToken = page.nextPageToken;
      }
      expect([...seen].sort()).toEqual([0, 1, 2, 3, 4].map((i) => `paged ${i}`));
      await expect(artifacts.listArtifacts({ filter: 'size > 3' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });

    it.each([
      ['no header', () => parts(undefined, text)],
      ['an empty body', () => parts({})],
      ['empty chunks only', () => parts({}, new Uint8Array(0))],
      ['a digest that differs', () => parts({ digest: `sha256:${'0'.repeat(64)}` }, text)],
      ['a malformed digest', () => parts({ digest: 'x' }, text)],
      ['a bad type', () => parts({ type: '../x' }, text)],
      ['a chunk above 1 MiB', () => parts({}, new Uint8Array(2 ** 20 + 1))],
    ])('with %s are refused', async (_, body) => {
      await expect(artifacts.uploadArtifact(body())).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });

    it('that are not there are NOT_FOUND, malformed digests INVALID_ARGUMENT', async () => {
      const digest = `sha256:${'0'.repeat(64)}`;
      await expect(artifacts.getArtifact({ digest })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(artifacts.verifyArtifact({ digest })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(download(digest)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(download(digest, '../x')).rejects.toMatchObject({
        code: expect.stringMatching(/NOT_FOUND|INVALID_ARGUMENT/),
      });
      await expect(artifacts.getArtifact({ digest: '../etc' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
      await expect(download('../etc')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });
  });
});
