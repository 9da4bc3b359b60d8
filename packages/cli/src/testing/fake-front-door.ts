import { createHash } from 'node:crypto';
import {
  type Artifact,
  ArtifactSchema,
  ArtifactService,
  BreakerState,
  type CacheExplanationSchema,
  CapacityService,
  type CreateRunRequest,
  type DeleteDeadLetterRequest,
  type DownloadArtifactRequest,
  type GetArtifactRequest,
  type GetDeadLetterRequest,
  type GetPhaseRequest,
  type GetRunRequest,
  type LineageDirection,
  type ListDeadLettersRequest,
  type ListRunsRequest,
  type ListStepsRequest,
  OperationsService,
  PhaseDescriptorSchema,
  PipelineService,
  type RedriveDeadLetterRequest,
  type Run,
  RunState,
  RunView,
  StepCountSchema,
  StepState,
  type UpdateQuotaRequest,
  type UploadArtifactRequest,
  type ValidateRunSpecRequest,
  type WaitKind,
  WaitReasonSchema,
  type WatchRunRequest,
  type WatchRunResponse,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import {
  createService,
  defineSettings,
  GrpcService,
  type RunningService,
  serverSettings,
} from '@agentforge/service-kit';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { Module } from '@nestjs/common';
import { FakeSchedules, fakeScheduleController } from './fake-schedules.js';
import { lineageOf } from './sample-lineage.js';
import { completedRun, pendingRun, wholeStory } from './sample-run.js';

interface StoredContent {
  readonly bytes: Buffer;
  readonly type: string;
  readonly name: string;
  readonly mediaType: string;
  /** Project that it counts for. */
  readonly parent: string;
}

/** What the fake front door remembers, and what it is told to do. */
export class FrontDoorState {
  readonly created: CreateRunRequest[] = [];
  readonly calls: string[] = [];
  readonly contents = new Map<string, StoredContent>();
  readonly runs = new Map<string, Run>([['projects/default/runs/demo', completedRun()]]);
  lastFilter = '';
  lastOrder = '';
  quota = { maxRunningRuns: 0, maxArtifactBytes: 0n };
  /** Why steps wait, by step. */
  readonly cache = new Map<string, MessageInitShape<typeof CacheExplanationSchema>>();
  readonly waits = new Map<string, { kind: WaitKind; message: string }[]>();
  /** Steps that were asked about one by one. */
  readonly explained: string[] = [];
  /** How the next watched run ends. */
  ending: 'completed' | 'failed' = 'completed';
  /** Violations that the next specification has. */
  violations: { field: string; description: string }[] = [];
  damaged = false;
  /** What happens to runs that are watched, after a revision; others have the story of the sample. */
  readonly stories = new Map<string, (afterRevision: bigint) => WatchRunResponse[]>();
  /** Sizes of the pages of steps that were asked for. */
  readonly stepPages: number[] = [];
  readonly schedules = new FakeSchedules();
}

const state = { current: new FrontDoorState() };

const CONFIG_SCHEMA: JsonObject = {
  properties: { preset: { enum: ['pico', 'nano'], default: 'pico', description: 'Size of the models' } },
};

const PHASES = ['cognate', 'evomerge'].map((name) =>
  create(PhaseDescriptorSchema, {
    name,
    version: '1.0.0',
    summary: `The phase ${name}.`,
    configSchema: CONFIG_SCHEMA,
    inputs: [{ name: 'corpus', artifactType: 'corpus', minCount: 1, maxCount: 1, summary: 'Text.' }],
    outputs: [{ name: 'models', artifactType: 'model', minCount: 3, maxCount: 3, summary: 'Models.' }],
    metrics: [{ name: 'loss', unit: 'nats/token', summary: 'Mean loss.' }],
  }),
);

@GrpcService(PipelineService)
class FakePipelineController {
  createRun(request: CreateRunRequest) {
    const { violations } = state.current;
    if (violations.length > 0) {
      throw new AppError('INVALID_ARGUMENT', 'the specification is not valid', {
        fieldViolations: violations,
      });
    }
    state.current.created.push(request);
    const name = `${request.parent}/runs/${request.runId || 'r1'}`;
    state.current.runs.set(name, pendingRun(name));
    return { run: pendingRun(name) };
  }

  validateRunSpec(request: ValidateRunSpecRequest) {
    return { violations: state.current.violations, ...(request.graph ? { graph: request.graph } : {}) };
  }

  getRun({ name, view }: GetRunRequest) {
    state.current.calls.push(...(view === RunView.BASIC ? [`basic ${name}`] : []));
    return { run: shown(find(name), view) };
  }

  listSteps({ parent, pageSize, pageToken, filter }: ListStepsRequest) {
    state.current.lastFilter = filter;
    const { steps, revision } = find(parent);
    const wanted = /^state = "(\w+)"$/.exec(filter)?.[1];
    const all = steps.filter((step) => wanted === undefined || StepState[step.state] === wanted);
    const start = Number(pageToken || '0');
    const end = start + (pageSize || 100);
    state.current.stepPages.push(pageSize);
    const page = all.slice(start, end).map((step) => {
      const known =
        step.state === StepState.PENDING ? undefined : state.current.waits.get(step.spec?.id ?? '');
      return { ...step, waits: (known ?? []).map((wait) => create(WaitReasonSchema, wait)) };
    });
    return { steps: page, nextPageToken: end < all.length ? String(end) : '', revision };
  }

  explainStep({ stepId, includeCache }: { stepId: string; includeCache: boolean }) {
    state.current.explained.push(stepId);
    const cache = includeCache ? state.current.cache.get(stepId) : undefined;
    return { waits: state.current.waits.get(stepId) ?? [], ...(cache ? { cache } : {}) };
  }

  listRuns({ pageSize, pageToken, filter, orderBy }: ListRunsRequest) {
    state.current.lastFilter = filter;
    state.current.lastOrder = orderBy;
    const all = [...state.current.runs.values()];
    const start = Number(pageToken || '0');
    const runs = all.slice(start, start + pageSize).map((run) => shown(run, RunView.BASIC));
    const end = start + runs.length;
    return { runs, nextPageToken: end < all.length ? String(end) : '' };
  }

  listRunEvents({ name }: { name: string }) {
    find(name);
    const events = wholeStory(name).flatMap(({ update }) => (update.case === 'event' ? [update.value] : []));
    return { events };
  }

  async *watchRun({ name, afterRevision }: WatchRunRequest) {
    const told = state.current.stories.get(name);
    if (told) {
      yield { revision: find(name).revision, update: { case: 'run' as const, value: shown(find(name)) } };
      yield* told(afterRevision);
      return;
    }
    find(name);
    const story = wholeStory(name);
    yield* story.slice(0, -1);
    const failed = state.current.ending === 'failed';
    const run = completedRun(name);
    if (failed) run.state = RunState.FAILED;
    state.current.runs.set(name, run);
    if (!failed) yield* story.slice(-1);
    else yield { revision: 9n, update: { case: 'run' as const, value: run } };
  }

  pauseRun({ name }: { name: string }) {
    state.current.calls.push(`pause ${name}`);
    return { run: find(name) };
  }

  resumeRun({ name }: { name: string }): never {
    throw new AppError('FAILED_PRECONDITION', `${name} is not paused`);
  }

  cancelRun({ name, reason }: { name: string; reason: string }) {
    state.current.calls.push(`cancel ${name} ${reason}`);
    return { run: find(name) };
  }

  retryRun(request: { name: string; stepIds: string[]; configOverrides: Record<string, JsonObject> }) {
    state.current.calls.push(`retry ${request.stepIds.join()} ${JSON.stringify(request.configOverrides)}`);
    return { run: find(request.name) };
  }

  listPhases() {
    return { phases: PHASES };
  }

  getPhase({ phase }: GetPhaseRequest) {
    const found = PHASES.find(({ name }) => name === phase);
    if (!found) throw new AppError('NOT_FOUND', `no phase is called "${phase}"; there are cognate, evomerge`);
    return { phase: found };
  }
}

@GrpcService(ArtifactService)
class FakeArtifactController {
  getArtifact({ digest }: GetArtifactRequest) {
    return { artifact: describe(digest) };
  }

  listArtifacts() {
    return { artifacts: [...state.current.contents.keys()].map(describe) };
  }

  async uploadArtifact(requests: AsyncIterable<UploadArtifactRequest>) {
    const chunks: Uint8Array[] = [];
    let header = { name: '', type: '', mediaType: '', parent: '' };
    let expected = '';
    for await (const { part } of requests) {
      if (part.case === 'header') {
        const { name, type, mediaType, parent } = part.value;
        header = { name, type, mediaType, parent };
        expected = part.value.digest;
      }
      if (part.case === 'chunk') chunks.push(part.value);
    }
    const bytes = Buffer.concat(chunks);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (expected !== digest) throw new AppError('INVALID_ARGUMENT', `it has ${digest}, not ${expected}`);
    state.current.contents.set(digest, { bytes, ...header });
    const { name, type, mediaType } = header;
    return { ref: { digest, sizeBytes: BigInt(bytes.length), name, type, mediaType } };
  }

  async *downloadArtifact({ digest }: DownloadArtifactRequest) {
    const { bytes } = contentOf(digest);
    yield { chunk: state.current.damaged ? Buffer.concat([bytes, Buffer.from('!')]) : bytes };
  }

  getLineage({ digest, direction }: { digest: string; direction: LineageDirection }) {
    return lineageOf(digest, direction);
  }

  verifyArtifact({ digest }: { digest: string }) {
    const { bytes } = contentOf(digest);
    const { damaged } = state.current;
    return {
      valid: !damaged,
      problems: damaged ? ['byte 3 differs'] : [],
      verifiedBytes: BigInt(bytes.length),
    };
  }
}

/** Two letters: one of a step that is tried again, one that nobody can send. */
const LETTERS = [
  {
    sequence: 17n,
    origin: 'tasks',
    subject: 'forge.tasks.cognate',
    reason: 'POISON_TASK',
    message: '5 workers died of it',
    run: 'projects/default/runs/demo',
    stepId: 'founders',
    phase: 'cognate',
    deliveries: 8,
    sizeBytes: 10n,
  },
  {
    sequence: 9n,
    origin: 'runs',
    subject: 'forge.runs.p.r',
    reason: 'MALFORMED_MESSAGE',
    message: 'unreadable',
  },
];

@GrpcService(OperationsService)
class FakeOperationsController {
  listDeadLetters({ filter }: ListDeadLettersRequest) {
    state.current.lastFilter = filter;
    return { deadLetters: LETTERS };
  }

  getDeadLetter({ sequence }: GetDeadLetterRequest) {
    const letter = LETTERS.find((one) => one.sequence === sequence);
    if (!letter) throw new AppError('NOT_FOUND', `there is no dead letter ${sequence}`);
    return { deadLetter: { ...letter, payload: Buffer.from('not a task') } };
  }

  redriveDeadLetter({ sequence }: RedriveDeadLetterRequest) {
    if (sequence !== 17n)
      throw new AppError('FAILED_PRECONDITION', `dead letter ${sequence} cannot be sent again`);
    state.current.calls.push(`redrive ${sequence}`);
    return { stepRetried: true };
  }

  deleteDeadLetter({ sequence }: DeleteDeadLetterRequest) {
    state.current.calls.push(`delete ${sequence}`);
    return {};
  }

  listBreakers() {
    const lastFailure = { code: 'UNAVAILABLE', message: 'worker "w" has been silent for 3 s' };
    return { breakers: [{ phase: 'cognate', state: BreakerState.OPEN, failures: 5, lastFailure }] };
  }

  listQueues() {
    const [seconds, nanos] = [90n, 0];
    return {
      queues: [
        { stream: 'FORGE_REPORTS', inProgress: 1n },
        { stream: 'FORGE_TASKS', phase: 'cognate', waiting: 12n, oldestAge: { seconds, nanos } },
      ],
    };
  }
}

@GrpcService(CapacityService)
class FakeCapacityController {
  getCapacity() {
    const leases = ['a', 'b', 'c', 'd'].map((id) => ({ id: `default.demo.${id}.1`, pool: 'host' }));
    const total = { cpu: 4, memoryBytes: 8n << 30n };
    const free = { cpu: 1.5, memoryBytes: 1n << 30n };
    return { pools: [{ name: 'host', total, free, leases, phases: ['cognate', 'evomerge'] }] };
  }

  getQuota({ name }: { name: string }) {
    return { quota: { name, usage: { runningRuns: 2, artifactBytes: 1_048_576n }, ...state.current.quota } };
  }

  updateQuota({ quota, updateMask }: UpdateQuotaRequest) {
    state.current.calls.push(`quota ${quota?.name} ${updateMask?.paths.join()}`);
    if (quota)
      state.current.quota = {
        maxRunningRuns: quota.maxRunningRuns,
        maxArtifactBytes: quota.maxArtifactBytes,
      };
    return this.getQuota({ name: quota?.name ?? '' });
  }
}

@Module({
  controllers: [
    FakeCapacityController,
    FakePipelineController,
    FakeOperationsController,
    FakeArtifactController,
    fakeScheduleController(() => state.current.schedules),
  ],
})
class FakeFrontDoorModule {}

/** A front door on a free port, with real gRPC and no engine behind it. Resets the state. */
export async function startFakeFrontDoor(): Promise<{
  service: RunningService;
  state: () => FrontDoorState;
  reset: () => void;
}> {
  const service = await createService(FakeFrontDoorModule, {
    name: 'fake-front-door',
    settings: defineSettings(serverSettings({ grpcPort: 0, httpPort: 0 })),
    env: { FORGE_GRPC_PORT: '0', FORGE_HTTP_PORT: '0', FORGE_LOG_LEVEL: 'silent' },
  });
  const reset = () => {
    state.current = new FrontDoorState();
  };
  reset();
  return { service, state: () => state.current, reset };
}

function find(name: string): Run {
  const run = state.current.runs.get(name);
  if (!run) throw new AppError('NOT_FOUND', `${name} does not exist`);
  return run;
}

/** A run as the server tells it: with its first steps, or with counts only. */
function shown(run: Run, view: RunView = RunView.FULL): Run {
  const counts = new Map<StepState, number>();
  for (const { state: one } of run.steps) counts.set(one, (counts.get(one) ?? 0) + 1);
  const stepCounts = [...counts].map(([one, count]) => create(StepCountSchema, { state: one, count }));
  const { graph: _, ...basic } = run;
  return {
    ...(view === RunView.BASIC ? basic : run),
    steps: view === RunView.BASIC ? [] : run.steps.slice(0, 1_000),
    stepCount: run.steps.length,
    stepCounts,
  };
}

function contentOf(digest: string) {
  const content = state.current.contents.get(digest);
  if (!content) throw new AppError('NOT_FOUND', `no artifact has the digest ${digest}`);
  return content;
}

function describe(digest: string): Artifact {
  const { bytes, name, type, mediaType } = contentOf(digest);
  const ref = { digest, name, type, mediaType, sizeBytes: BigInt(bytes.length) };
  return create(ArtifactSchema, { ref });
}
