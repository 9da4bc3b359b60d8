import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FolderArtifactStore } from '@agentforge/artifacts';
import {
  CachePolicy,
  type OrchestrationService,
  PhaseDescriptorSchema,
  RunEventBatchSchema,
  RunSchema,
  RunState,
  StartExecutionRequestSchema,
  StepReportSchema,
} from '@agentforge/contracts';
import { foldRun, type RunRecord, toRun } from '@agentforge/events';
import type { Client } from '@agentforge/service-kit';
import { create, toJson } from '@bufbuild/protobuf';
import { sizeDelimitedEncode } from '@bufbuild/protobuf/wire';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { digestOfRequest } from '../src/request-digest.js';
import type { Job } from './fake-worker.js';
import { Fixture } from './fixture.js';

const FOLDER = fileURLToPath(new URL('../../../test/golden/histories/', import.meta.url));
/** Recording replaces files of the repository, so it is asked for: FORGE_RECORD_HISTORIES=1. */
const recording = process.env['FORGE_RECORD_HISTORIES'] ? describe : describe.skip;

/** Real runs on a real NATS server and a real orchestrator; only what the worker computes is made up. */
recording('record histories', () => {
  let fixture: Fixture;
  let folder: string;
  let store: FolderArtifactStore;
  let client: Client<typeof OrchestrationService>;
  let work: (job: Job) => Promise<void>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'forge-histories-'));
    store = await FolderArtifactStore.open({ directory: folder, maxBlobBytes: 2 ** 20 });
    fixture = await Fixture.start();
    const port = { name: 'text', artifactType: 'corpus', maxCount: 1 };
    await fixture.events.phases.put(
      create(PhaseDescriptorSchema, {
        name: 'write',
        version: '1.0.0',
        configSchema: { type: 'object', properties: { n: { type: 'integer', default: 1 } } },
        inputs: [{ ...port, minCount: 0 }],
        outputs: [{ ...port, minCount: 1 }],
        fallback: 'empty-text',
      }),
    );
    client = fixture.client(await fixture.orchestrator({ FORGE_ARTIFACT_DIR: folder }));
    await fixture.worker((job) => work(job), 'write', 'worker');
  });

  afterAll(async () => {
    await fixture?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const succeed = async (job: Job) => {
    await job.start();
    const text = JSON.stringify([job.task.config, String(job.task.seed)]);
    const ref = await store.put(Buffer.from(text), { type: 'corpus', name: 'text' });
    await job.report({ case: 'checkpointed', value: { checkpoint: ref } });
    const result = { outcome: 'created', outputs: [{ port: 'text', artifacts: [ref] }] };
    await job.report({ case: 'succeeded', value: { result } });
  };
  const fail = async (job: Job, failureClass: number) => {
    await job.start();
    const failure = { code: 'INTERNAL', message: 'it broke', reason: 'BROKEN', failureClass };
    await job.report({ case: 'failed', value: { failure } });
  };
  const reads = (stepId: string) => [
    { port: 'text', source: { case: 'stepOutput' as const, value: { stepId, output: 'text' } } },
  ];
  const graphOf = (n: number, over: object = {}) => ({
    seed: 7n,
    steps: [
      { id: 'first', phase: 'write', config: { n }, ...over },
      { id: 'second', phase: 'write', config: { n }, inputs: reads('first'), ...over },
    ],
  });
  const begin = async (name: string, graph: object, does = succeed): Promise<string> => {
    work = does;
    await client.startExecution({ name, graph, labels: { recorded: 'yes' } });
    return name;
  };
  const runOf = (id: string) => `projects/recorded/runs/${id}`;

  /** Writes the history of a run that has ended, and the state that it folds to. */
  const record = async (name: string): Promise<void> => {
    const batches = await fixture.events.runs.read(name);
    let state: RunRecord | undefined;
    let revision = 0n;
    const messages = batches.map(({ run, events }) => {
      state = foldRun(state, { run, events }, ++revision);
      return sizeDelimitedEncode(RunEventBatchSchema, create(RunEventBatchSchema, { run, events }));
    });
    if (state === undefined) throw new Error(`${name} has no history`);
    const id = name.split('/').at(-1) ?? '';
    await writeFile(join(FOLDER, `${id}.binpb`), Buffer.concat(messages));
    await writeFile(
      join(FOLDER, `${id}.json`),
      `${JSON.stringify(toJson(RunSchema, toRun(state)), null, 2)}\n`,
    );
  };

  it('success', async () => {
    const name = await begin(runOf('success'), graphOf(1));
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });

  it('retries', async () => {
    const retry = { maxAttempts: 4, initialInterval: { nanos: 20_000_000 } };
    const name = await begin(runOf('retries'), graphOf(2, { retry }), (job) =>
      job.task.attemptNumber < 3 ? fail(job, 1) : succeed(job),
    );
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });

  it('fallback', async () => {
    const name = await begin(runOf('fallback'), graphOf(3), (job) =>
      job.task.stepId === 'first' && job.task.fallback === '' ? fail(job, 2) : succeed(job),
    );
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });

  it('cancel', async () => {
    const name = await begin(runOf('cancel'), graphOf(4), async (job) => {
      await job.start();
    });
    await fixture.until(
      name,
      ({ steps }) => steps[0]?.attempts[0]?.worker !== '' && steps[0]?.attempts.length === 1,
    );
    await client.cancelExecution({ name, reason: 'not needed any more' });
    await fixture.until(name, ({ state }) => state === RunState.CANCELLING || state === RunState.CANCELLED);
    const [attempt] = (await client.getExecution({ name })).run?.steps[0]?.attempts ?? [];
    if (attempt) await cancelled(name, attempt.id, attempt.fencingToken);
    await fixture.untilState(name, RunState.CANCELLED);
    await record(name);
  });

  const cancelled = (run: string, attemptId: string, fencingToken: bigint) =>
    fixture.events.reports.publish(
      'write',
      create(StepReportSchema, {
        run,
        stepId: 'first',
        attemptId,
        fencingToken,
        worker: 'worker',
        payload: { case: 'cancelled', value: {} },
      }),
      99_999,
    );

  it('pause and resume', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const name = await begin(runOf('pause-resume'), graphOf(5), async (job) => {
      if (job.task.stepId === 'first') await held;
      await succeed(job);
    });
    await fixture.until(name, ({ steps }) => steps[0]?.attempts.length === 1);
    await client.pauseExecution({ name });
    release();
    await client.resumeExecution({ name });
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });

  it('retry from a step', async () => {
    const once = { retry: { maxAttempts: 1 }, allowFallback: false };
    const name = await begin(runOf('retry-from-step'), graphOf(6, once), (job) =>
      job.task.stepId === 'second' && (job.task.config as { n?: number })?.n === 6
        ? fail(job, 1)
        : succeed(job),
    );
    await fixture.untilState(name, RunState.FAILED);
    await client.retryExecution({ name, stepIds: ['second'], configOverrides: { second: { n: 60 } } });
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });

  it('blocked', async () => {
    const alone = { allowFallback: false };
    const name = await begin(runOf('blocked'), graphOf(8, alone), (job) => fail(job, 2));
    await fixture.untilState(name, RunState.FAILED);
    await record(name);
  });

  it('late report', async () => {
    const retry = { maxAttempts: 2, initialInterval: { nanos: 20_000_000 } };
    let late: Job['task'] | undefined;
    const name = await begin(runOf('late-report'), graphOf(9, { retry }), async (job) => {
      if (job.task.stepId === 'first' && late === undefined) {
        late = job.task;
        return fail(job, 1);
      }
      if (job.task.stepId === 'first' && late)
        await job.report(
          { case: 'succeeded', value: { result: { outcome: 'created' } } },
          { attemptId: late.attemptId, fencingToken: late.fencingToken },
        );
      return succeed(job);
    });
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });

  /** A replica wrote the first part of the graph and died; whoever asks again has the rest written. */
  it('steps added', async () => {
    const request = create(StartExecutionRequestSchema, {
      name: runOf('steps-added'),
      labels: { recorded: 'yes' },
      graph: graphOf(10),
    });
    const { graph } = await client.validateGraph(request.graph ? { graph: request.graph } : {});
    if (!graph) throw new Error('the graph is refused');
    work = succeed;
    const value = {
      labels: request.labels,
      graph: { ...graph, steps: graph.steps.slice(0, 1) },
      requestDigest: digestOfRequest(request),
      totalSteps: graph.steps.length,
    };
    const first = {
      time: timestampNow(),
      actor: 'orchestrator',
      payload: { case: 'runCreated' as const, value },
    };
    await fixture.append(request.name, [first], 0n);
    await client.startExecution(request);
    await fixture.untilState(request.name, RunState.COMPLETED);
    await record(request.name);
  });

  it('cache hit', async () => {
    const cache = CachePolicy.READ_WRITE;
    const source = await begin(runOf('cache-source'), graphOf(7, { cache }));
    await fixture.untilState(source, RunState.COMPLETED);
    const name = await begin(runOf('cache-hit'), graphOf(7, { cache }));
    await fixture.untilState(name, RunState.COMPLETED);
    await record(name);
  });
});
