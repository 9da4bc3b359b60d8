import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FolderArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import {
  type ArtifactRef,
  type StepReport,
  type StepResult,
  type StepTask,
  StepTaskSchema,
  TaskAction,
  TaskDirectiveSchema,
} from '@agentforge/contracts';
import { attemptIdOf, type Events } from '@agentforge/events';
import { connectForTest, startNatsServer } from '@agentforge/events/testing';
import { createService, type RunningService } from '@agentforge/service-kit';
import { Metrics } from '@agentforge/telemetry';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import { PhaseHost } from '../edge/phase-host.js';
import { PhaseRuntimeModule } from '../edge/phase-runtime.module.js';
import { phaseSettings } from '../edge/phase-settings.js';

/** The run that every task of a bench belongs to. */
export const BENCH_RUN = 'projects/test/runs/bench';

/** The step that every task of a bench belongs to. */
const STEP = 'step';

/**
 * NATS, an artifact folder and a stand-in for the orchestrator: everything around a phase service, for integration
 * tests. Services and processes that it started end with `close`.
 */
export class PhaseBench {
  readonly reports: StepReport[] = [];
  /** What heartbeats are answered with, by attempt. */
  readonly answers = new Map<string, TaskAction>();
  private readonly services: RunningService[] = [];
  private readonly children: ChildProcess[] = [];
  private attempts = 0;

  private constructor(
    readonly phase: PhaseDefinition,
    readonly nats: Awaited<ReturnType<typeof startNatsServer>>,
    readonly events: Events,
    readonly directory: string,
    readonly store: FolderArtifactStore,
    private readonly ackWaitMs: number,
  ) {}

  /**
   * Starts NATS and connects.
   * @param options.ackWaitMs  silence after which a task goes to another worker: more than a busy machine lets one be silent for
   */
  static async open(phase: PhaseDefinition, { ackWaitMs = 2_000 } = {}): Promise<PhaseBench> {
    const nats = await startNatsServer();
    const directory = await mkdtemp(join(tmpdir(), 'forge-phase-'));
    const events = await connectForTest(nats.url, { ackWaitMs });
    const bench = new PhaseBench(
      phase,
      nats,
      events,
      directory,
      await FolderArtifactStore.open({ directory }),
      ackWaitMs,
    );
    await events.reports.consume(async ({ report }) => {
      bench.reports.push(report);
    });
    events.directives.answer(({ attemptId }) =>
      create(TaskDirectiveSchema, { attemptId, action: bench.answers.get(attemptId) ?? TaskAction.CONTINUE }),
    );
    return bench;
  }

  /** Settings of a service on this bench. */
  get env(): Record<string, string> {
    return {
      FORGE_GRPC_PORT: '0',
      FORGE_HTTP_PORT: '0',
      FORGE_LOG_LEVEL: process.env['FORGE_LOG_LEVEL'] ?? 'silent',
      FORGE_NATS_URL: this.nats.url,
      FORGE_ARTIFACT_DIR: this.directory,
      FORGE_TASK_ACK_WAIT_MS: String(this.ackWaitMs),
      FORGE_HEARTBEAT_MS: '100',
      // What a test repeats is computed again.
      FORGE_SUBTASK_CACHE: 'off',
    };
  }

  /** Starts the service of the phase in this process. */
  async startService(env: Record<string, string> = {}): Promise<RunningService> {
    const service = await createService(PhaseRuntimeModule.serve(this.phase), {
      name: `phase-${this.phase.name}`,
      settings: phaseSettings({ grpcPort: 0, httpPort: 0 }),
      env: { ...this.env, ...env },
    });
    this.services.push(service);
    return service;
  }

  /** Starts a compiled main file as a process of its own, to be killed. */
  startProcess(main: URL, env: Record<string, string> = {}): ChildProcess {
    const child = spawn(process.execPath, [fileURLToPath(main)], {
      env: { ...process.env, ...this.env, ...env },
      stdio: 'ignore',
    });
    this.children.push(child);
    return child;
  }

  /** Stores a text as a corpus. */
  putCorpus(text: string): Promise<ArtifactRef> {
    const label = { name: 'corpus', type: 'corpus', mediaType: MEDIA_TYPES.text };
    return this.store.put(new TextEncoder().encode(text), label);
  }

  /** Queues one attempt; returns it. */
  async submit(config: JsonObject, fields: MessageInitShape<typeof StepTaskSchema> = {}): Promise<StepTask> {
    const number = ++this.attempts;
    const task = create(StepTaskSchema, {
      run: BENCH_RUN,
      stepId: STEP,
      attemptId: attemptIdOf(BENCH_RUN, STEP, number),
      attemptNumber: number,
      fencingToken: BigInt(number),
      phase: this.phase.name,
      config,
      seed: 42n,
      ...fields,
    });
    await this.events.tasks.publish(task);
    return task;
  }

  /** The reports of one attempt so far, by kind. */
  kinds({ attemptId }: StepTask): (string | undefined)[] {
    return this.reports.filter((report) => report.attemptId === attemptId).map(({ payload }) => payload.case);
  }

  /** Waits for a report. */
  async report<Kind extends NonNullable<StepReport['payload']['case']>>({ attemptId }: StepTask, kind: Kind) {
    const found = await eventually(() => {
      const own = this.reports.filter((report) => report.attemptId === attemptId);
      const failed = own.find(({ payload }) => payload.case === 'failed');
      if (failed?.payload.case === 'failed' && kind !== 'failed') {
        throw new Error(`the attempt failed: ${failed.payload.value.failure?.message}`);
      }
      return own.find(({ payload }) => payload.case === kind);
    });
    return found.payload.value as Extract<StepReport['payload'], { case: Kind }>['value'];
  }

  /** The result of an attempt, once it has succeeded. */
  async result(task: StepTask): Promise<StepResult> {
    const { result } = await this.report(task, 'succeeded');
    if (!result) throw new Error('succeeded without a result');
    return result;
  }

  /** Digests of everything a successful attempt delivered, in order. */
  async digests(task: StepTask): Promise<string[]> {
    const { outputs } = await this.result(task);
    return outputs.flatMap(({ artifacts }) => artifacts.map(({ digest }) => digest));
  }

  /** Ends everything and removes its files. */
  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(this.services.map((service) => service.drain('test')));
    await this.events.close();
    await this.nats.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/**
 * Submits until one service executes the task: others may take what is queued; with them it is cancelled.
 * @returns the task, which has started
 */
export async function startedBy(
  service: RunningService,
  bench: PhaseBench,
  submit: () => Promise<StepTask>,
): Promise<StepTask> {
  for (;;) {
    const task = await submit();
    await bench.report(task, 'started');
    const { attemptId } = task;
    if (
      service
        .get(PhaseHost)
        .tasks.list()
        .some((one) => one.task.attemptId === attemptId)
    )
      return task;
    bench.answers.set(attemptId, TaskAction.CANCEL);
    await bench.report(task, 'cancelled');
  }
}

/** Sum of the series of a service's metric that have these labels; 0 when there is none. */
export async function metricOf(
  service: RunningService,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { text } = await service.get(Metrics).expose();
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`)) continue;
    if (Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
      sum += Number(line.slice(line.lastIndexOf(' ')));
  }
  return sum;
}

/** Polls until there is something. */
export async function eventually<T>(find: () => T | undefined | false, timeoutMs = 90_000): Promise<T> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const found = find();
    if (found) return found;
    if (Date.now() > until) throw new Error(`nothing after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
