import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderArtifactStore } from '@agentforge/artifacts';
import {
  CachePolicy,
  EngineStatusService,
  type OrchestrationService,
  PhaseDescriptorSchema,
  RunState,
} from '@agentforge/contracts';
import { type Client, createClient } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { Fixture } from './fixture.js';

const READ_WRITE = CachePolicy.READ_WRITE;

describe('the step cache', () => {
  let fixture: Fixture;
  let folder: string;
  let store: FolderArtifactStore;
  let client: Client<typeof OrchestrationService>;
  let status: Client<typeof EngineStatusService>;
  /** Steps that a worker really did, by run. */
  const worked: string[] = [];
  let fails = false;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'forge-step-cache-'));
    store = await FolderArtifactStore.open({ directory: folder, maxBlobBytes: 2 ** 20 });
    fixture = await Fixture.start();
    await publish('1.0.0');
    const service = await fixture.orchestrator({ FORGE_ARTIFACT_DIR: folder });
    client = fixture.client(service);
    status = createClient(EngineStatusService, service.grpcAddress);
    await fixture.worker(async (job) => {
      worked.push(`${job.task.run} ${job.task.stepId}`);
      await job.start();
      if (fails && job.task.fallback === '') {
        const failure = { code: 'INTERNAL', message: 'broken', reason: 'BROKEN', failureClass: 2 };
        await job.report({ case: 'failed', value: { failure } });
        return;
      }
      const ref = await store.put(Buffer.from(`${JSON.stringify(job.task.config)} ${job.task.seed}`), {
        type: 'corpus',
      });
      const result = { outcome: 'created', outputs: [{ port: 'text', artifacts: [ref] }] };
      await job.report({ case: 'succeeded', value: { result } });
    }, 'write');
  });

  afterAll(async () => {
    status?.close();
    await fixture?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const publish = (version: string) =>
    fixture.events.phases.put(
      create(PhaseDescriptorSchema, {
        name: 'write',
        version,
        configSchema: { type: 'object', properties: { n: { type: 'integer', default: 1 } } },
        inputs: [{ name: 'text', artifactType: 'corpus', minCount: 0, maxCount: 1 }],
        outputs: [{ name: 'text', artifactType: 'corpus', minCount: 1, maxCount: 1 }],
        fallback: 'empty-text',
      }),
    );

  /** Two steps, the second reads what the first writes. */
  const graphOf = (n: number, cache = READ_WRITE) => ({
    seed: 5n,
    steps: [
      { id: 'a', phase: 'write', config: { n }, cache },
      {
        id: 'b',
        phase: 'write',
        config: { n },
        cache,
        inputs: [
          { port: 'text', source: { case: 'stepOutput' as const, value: { stepId: 'a', output: 'text' } } },
        ],
      },
    ],
  });

  const begin = async (graph: ReturnType<typeof graphOf>) => {
    const name = fixture.newRun();
    await client.startExecution({ name, graph });
    return fixture.untilState(name, RunState.COMPLETED);
  };

  const workOf = (run: string) => worked.filter((line) => line.startsWith(`${run} `)).length;

  it('gives a second run the results of the first one, without a worker', async () => {
    const first = await begin(graphOf(1));
    expect(workOf(first.name)).toBe(2);
    const second = await begin(graphOf(1));
    expect(workOf(second.name)).toBe(0);
    for (const i of [0, 1]) {
      const [before, after] = [first.steps[i], second.steps[i]];
      expect(after?.result).toEqual(before?.result);
      expect(after).toMatchObject({
        attempts: [],
        cachedFrom: { sourceRun: first.name, sourceStepId: before?.spec?.id },
      });
    }
    const { cache } = await status.explainExecutionStep({
      run: second.name,
      stepId: 'b',
      includeCache: true,
    });
    expect(cache).toMatchObject({ hit: true, sourceRun: first.name, sourceStepId: 'b', policy: READ_WRITE });
  });

  it('does the work when something that counts is another, and says what', async () => {
    const first = await begin(graphOf(2));
    const other = await begin(graphOf(3));
    expect(workOf(other.name)).toBe(2);
    const third = await begin(graphOf(4, CachePolicy.OFF));
    expect(workOf(third.name)).toBe(2);
    const { cache } = await status.explainExecutionStep({ run: third.name, stepId: 'a', includeCache: true });
    expect(cache).toMatchObject({
      hit: false,
      policy: CachePolicy.OFF,
      sourceRun: other.name,
      sourceStepId: 'a',
      differences: [{ field: 'config.n', here: '4', there: '3' }],
    });
    expect(first.name).not.toBe(other.name);
    const asked = await status.explainExecutionStep({ run: third.name, stepId: 'a' });
    expect(asked.cache).toBeUndefined();
    await expect(
      status.explainExecutionStep({ run: third.name, stepId: 'x', includeCache: true }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is off for steps that do not say, and REFRESH works and keeps', async () => {
    const unsaid = await begin(graphOf(1, CachePolicy.UNSPECIFIED));
    expect(workOf(unsaid.name)).toBe(2);
    const refreshed = await begin(graphOf(1, CachePolicy.REFRESH));
    expect(workOf(refreshed.name)).toBe(2);
    const after = await begin(graphOf(1));
    expect(after.steps[0]?.cachedFrom?.sourceRun).toBe(refreshed.name);
  });

  it('does the work again when an artifact is gone', async () => {
    const first = await begin(graphOf(10));
    const digest = first.steps[1]?.result?.outputs[0]?.artifacts[0]?.digest ?? '';
    await rm(join(folder, 'sha256', digest.slice(7, 9), digest.slice(9)), { force: true });
    expect(await store.stat(digest)).toBeUndefined();
    const second = await begin(graphOf(10));
    expect(workOf(second.name)).toBe(1);
    const origins = (await begin(graphOf(10))).steps.map(({ cachedFrom }) => cachedFrom?.sourceRun);
    expect(origins).toEqual([first.name, second.name]);
  });

  it('does a step again that is retried by name, and keeps nothing of a fallback', async () => {
    const first = await begin(graphOf(20));
    await client.retryExecution({ name: first.name, stepIds: ['a'] });
    await fixture.until(first.name, (run) => run.state === RunState.COMPLETED && workOf(run.name) === 4);
    fails = true;
    const fallen = await begin(graphOf(21));
    expect(fallen.steps[0]).toMatchObject({ fallback: 'empty-text', fallbackCause: { reason: 'BROKEN' } });
    fails = false;
    expect(workOf((await begin(graphOf(21))).name)).toBe(2);
  });

  it('takes nothing over from another version of the phase', async () => {
    await begin(graphOf(30));
    await publish('1.1.0');
    const deadline = Date.now() + 5_000;
    for (;;) {
      const { name } = await begin(graphOf(30));
      if (workOf(name) === 2) break;
      if (Date.now() > deadline) throw new Error('the new version is not seen');
    }
  });
});
