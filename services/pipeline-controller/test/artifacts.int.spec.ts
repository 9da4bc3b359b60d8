import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ArtifactService, CapacityService, PipelineService } from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import type { Client, RunningService } from '@agentforge/service-kit';
import { complete, type FrontDoors, GRAPH, parent, startFrontDoors, watched } from './start-front-door.js';
import { commit, engineStatus } from './stub-orchestrator.js';

describe('artifacts and quotas of the front door', () => {
  let doors: FrontDoors;
  let events: Events;
  let service: RunningService;
  let client: Client<typeof PipelineService>;
  let artifacts: Client<typeof ArtifactService>;

  beforeAll(async () => {
    doors = await startFrontDoors();
    events = doors.events;
    service = await doors.start();
    client = doors.client(PipelineService, service);
    artifacts = doors.client(ArtifactService, service);
  }, 60_000);
  afterAll(() => doors.end(), 60_000);

  const createRun = async (over: object = {}): Promise<string> => {
    const { run } = await client.createRun({ parent, graph: GRAPH, ...over });
    return run?.name ?? '';
  };

  it('sets quotas, says what is used, and ends uploads and runs where the quota does', async () => {
    const capacity = doors.client(CapacityService, service);
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
    const repeated = { parent: 'projects/tight', requestId: '7d9f3a52-1f5d-4c8e-9a2b-000000000009' };
    const accepted = await createRun(repeated);
    const known = await send(60, 'a');
    await send(60, 'a', known.ref?.digest);
    await expect(send(60, 'b')).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA_EXCEEDED',
      metadata: { quota: 'max_artifact_bytes', limit: '100', used: '120' },
    });
    await send(40, 'c');
    await expect(createRun({ parent: 'projects/tight' })).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' });
    await expect(client.retryRun({ name: accepted })).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' });
    expect(await createRun(repeated)).toBe(accepted);
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

    it('have the time of the server, whatever the clock of the machine says', async () => {
      const { now } = Date;
      Date.now = () => now() + 3_600_000;
      try {
        await artifacts.uploadArtifact(parts({ name: 'early', type: 'corpus' }, Buffer.from('early')));
      } finally {
        Date.now = now;
      }
      const { artifacts: listed } = await artifacts.listArtifacts({ filter: 'name = early' });
      const times = listed.map(({ createTime }) => Number(createTime?.seconds) - Date.now() / 1_000);
      expect(times.map((seconds) => Math.abs(seconds) < 60)).toEqual([true]);
    });

    it('uploaded twice are listed once, and uploads outlive the service', async () => {
      const header = { name: 'twice' };
      await artifacts.uploadArtifact(parts(header, text));
      await artifacts.uploadArtifact(parts(header, text));
      const filter = 'name = twice';
      expect((await artifacts.listArtifacts({ filter })).artifacts).toHaveLength(1);
      const other = await doors.start();
      const second = doors.client(ArtifactService, other);
      expect((await second.listArtifacts({ filter })).artifacts).toHaveLength(1);
      await doors.stop(other);
    });

    it('of steps are listed with what produced them', async () => {
      const { ref } = await artifacts.uploadArtifact(
        parts({ name: 'made', type: 'report' }, Uint8Array.of(1, 2)),
      );
      const name = await createRun();
      const outputs = [{ port: 'report', artifacts: [{ ...ref, name: 'made-by-run' }] }];
      await commit(events, name, complete(name, { outcome: 'done', outputs }));
      await watched(client, { name });
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
