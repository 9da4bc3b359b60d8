import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FolderLock } from './folder-lock.js';
import { ManagedProcess, type ProcessPlan } from './managed-process.js';
import { type Environment, NatsPlan } from './nats-plan.js';
import { ProcessGuard } from './process-guard.js';
import { ServicePlan } from './service-plan.js';

/** Time a process gets to end by itself before it is killed, in milliseconds. */
const STOP_GRACE_MS = 8_000;
/**
 * Settings that differ from those of a cluster, unless the environment has them: a drain is shorter than the grace, so
 * that a service ends by itself; and a worker that was killed is missed soon, because no network can be slow here.
 */
const LOCAL_SETTINGS = {
  FORGE_DRAIN_TIMEOUT_MS: '6000',
  FORGE_TASK_ACK_WAIT_MS: '8000',
  FORGE_ACK_WAIT_MS: '8000',
};
const ROTATE_EVERY_MS = 5_000;

/** Phase services that local mode starts. */
export const LOCAL_PHASES = ['phase-cognate', 'phase-evomerge'] as const;

/** How local mode is started. */
export interface LocalStackOptions {
  /** Root of the workspace, with services/ in it. */
  readonly root: string;
  /** Folder for everything that is kept: events, artifacts, logs. One local stack per folder. */
  readonly dataDir: string;
  /** Passed on to the services, thread settings included. */
  readonly env: Environment;
  /** What holds the folder, for the message to a second one. */
  readonly command: string;
  /** Called with one line when something unusual happens, for example a restart. */
  readonly notify: (line: string) => void;
  /** Called when a process is about to be started. */
  readonly progress?: (name: string) => void;
}

/** NATS and every service as processes on loopback, kept alive until they are stopped. */
export class LocalStack {
  /** Rejects when a process cannot be kept alive. */
  readonly failed: Promise<never>;
  private readonly processes: ManagedProcess[] = [];
  private readonly plans: ProcessPlan[] = [];
  private readonly guard = new ProcessGuard(STOP_GRACE_MS);
  private readonly rotation: NodeJS.Timeout;
  private giveUp: (error: Error) => void = () => undefined;
  private stopped: Promise<void> | undefined;
  private readonly dataDir: string;
  private nats: NatsPlan | undefined;
  private readonly services = new Map<string, ServicePlan>();

  private constructor(
    private readonly options: LocalStackOptions,
    private readonly lock: FolderLock,
  ) {
    this.dataDir = resolve(options.dataDir);
    this.failed = new Promise<never>((_, reject) => {
      this.giveUp = reject;
    });
    this.failed.catch(() => undefined);
    if (this.guard.pid !== undefined) lock.noteGuard(this.guard.pid);
    this.rotation = setInterval(() => {
      for (const plan of this.plans) plan.log.rotate();
    }, ROTATE_EVERY_MS);
    this.rotation.unref();
  }

  /**
   * Starts everything and waits until it serves; stops what it started when something does not.
   * @throws DataFolderHeldError FAILED_PRECONDITION: another process uses the folder
   * @throws ProgramMissingError, NotBuiltError, LocalProcessError  with what to do about it
   */
  static async start(options: LocalStackOptions, signal?: AbortSignal): Promise<LocalStack> {
    const lock = await FolderLock.acquire(resolve(options.dataDir), options.command);
    const stack = new LocalStack(options, lock);
    try {
      const aborted = new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      signal?.throwIfAborted();
      await Promise.race([stack.startAll(), aborted]);
      return stack;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  /** gRPC address of the front door, "host:port". */
  get server(): string {
    return this.addressOf('pipeline-controller');
  }

  /** Folder of the artifacts. */
  get artifactDir(): string {
    return join(this.dataDir, 'artifacts');
  }

  /** Folder of the logs. */
  get logDir(): string {
    return join(this.dataDir, 'logs');
  }

  /** Name, process and address of everything that runs. */
  list(): { name: string; pid: number | undefined; address: string; http: string }[] {
    return this.processes.map((process) => {
      const address = this.services.get(process.name)?.address;
      return {
        name: process.name,
        pid: process.pid,
        address: address?.grpc ?? this.nats?.url ?? '',
        http: address?.http ?? '',
      };
    });
  }

  /** Ends everything in order: the front door, the workers, the engine, NATS. Safe to call more than once. */
  stop(): Promise<void> {
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  private async startAll(): Promise<void> {
    this.nats = new NatsPlan(this.dataDir, this.options.env);
    const plan = (name: string, settings: () => Record<string, string> = () => ({})) => {
      const service = new ServicePlan({
        name,
        root: this.options.root,
        dataDir: this.dataDir,
        env: this.options.env,
        settings: () => ({ ...this.commonSettings(), ...settings() }),
      });
      this.services.set(name, service);
      return service;
    };
    const validators = () => ({ FORGE_VALIDATORS_ADDRESS: this.addressOf('validators') });
    const waves: ProcessPlan[][] = [
      [this.nats],
      [plan('validators')],
      [plan('orchestrator', validators), ...LOCAL_PHASES.map((phase) => plan(phase))],
      [
        plan('pipeline-controller', () => ({
          ...validators(),
          FORGE_ORCHESTRATOR_ADDRESS: this.addressOf('orchestrator'),
        })),
      ],
    ];
    for (const wave of waves) {
      if (this.stopped) return;
      await Promise.all(wave.map((member) => this.launch(member)));
    }
    if (this.stopped) return;
    writeFileSync(
      join(this.dataDir, 'endpoint.json'),
      `${JSON.stringify({ server: this.server, pid: process.pid, nats: this.nats.url, processes: this.list() }, null, 2)}\n`,
    );
  }

  private async launch(plan: ProcessPlan): Promise<void> {
    this.options.progress?.(plan.name);
    const process = new ManagedProcess(plan, this.guard, this.options.notify, (error) => this.giveUp(error));
    this.plans.push(plan);
    this.processes.push(process);
    await process.start();
  }

  private commonSettings(): Record<string, string> {
    return {
      FORGE_NATS_URL: this.nats?.url ?? '',
      FORGE_DATA_DIR: this.dataDir,
      FORGE_ARTIFACT_DIR: this.artifactDir,
      ...Object.fromEntries(
        Object.entries(LOCAL_SETTINGS).map(([name, value]) => [name, this.options.env[name] ?? value]),
      ),
    };
  }

  private addressOf(name: string): string {
    return this.services.get(name)?.address?.grpc ?? '';
  }

  private async stopAll(): Promise<void> {
    clearInterval(this.rotation);
    rmSync(join(this.dataDir, 'endpoint.json'), { force: true });
    const isPhase = (name: string) => name.startsWith('phase-');
    const waves: ((name: string) => boolean)[] = [
      (name) => name === 'pipeline-controller' || isPhase(name),
      (name) => name === 'orchestrator',
      (name) => name === 'validators',
      (name) => name === 'nats-server',
    ];
    for (const wave of waves) {
      await Promise.all(
        this.processes.filter(({ name }) => wave(name)).map((process) => process.stop(STOP_GRACE_MS)),
      );
    }
    this.guard.close();
    rmSync(join(this.dataDir, 'run'), { recursive: true, force: true });
    this.lock.release();
  }
}
