import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FolderLock } from './folder-lock.js';
import { ManagedProcess, type ProcessPlan } from './managed-process.js';
import { type Environment, NatsPlan } from './nats-plan.js';
import { ProcessGuard } from './process-guard.js';
import { checkComposition, type ExtraService, mainOf, processNames } from './replicas.js';
import { ServicePlan } from './service-plan.js';

/** Time a process gets to end by itself before it is killed, in milliseconds. */
const STOP_GRACE_MS = 8_000;
/**
 * Settings that differ from those of a cluster, unless the environment has them: a drain is shorter than the grace, so
 * that a service ends by itself.
 */
const LOCAL_SETTINGS = {
  FORGE_DRAIN_TIMEOUT_MS: '6000',
};
const ROTATE_EVERY_MS = 5_000;

/** Phase services that local mode starts. */
export const LOCAL_PHASES = ['phase-cognate', 'phase-evomerge', 'phase-quietstar'] as const;

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
  /** Phase services to start; default {@link LOCAL_PHASES}. */
  readonly phases?: readonly string[];
  /** Services of somebody else to start beside ours. */
  readonly extra?: readonly ExtraService[];
  /** Processes per service, 1 for those that are not named. */
  readonly replicas?: Readonly<Record<string, number>>;
  /** Settings of one process that differ from those it would get; asked on every start. */
  readonly settingsOf?: (
    process: string,
    settings: Readonly<Record<string, string>>,
  ) => Readonly<Record<string, string>>;
  /** Restarts of a process in a row that never became ready before all is given up. Default 6. */
  readonly maxFailedStarts?: number;
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
  /** By name of the process. */
  private readonly services = new Map<string, ServicePlan>();
  /** Names of the processes of each service. */
  private readonly replicas = new Map<string, readonly string[]>();

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
   * @throws InvalidCompositionError INVALID_ARGUMENT: unknown services or impossible numbers of replicas, all of them
   * @throws DataFolderHeldError FAILED_PRECONDITION: another process uses the folder
   * @throws ProgramMissingError, NotBuiltError, LocalProcessError  with what to do about it
   */
  static async start(options: LocalStackOptions, signal?: AbortSignal): Promise<LocalStack> {
    checkComposition(servicesOf(options), options.replicas ?? {});
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

  /** gRPC address of the front door, "host:port"; several with commas. */
  get server(): string {
    return this.addressesOf('pipeline-controller');
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
    const { phases = LOCAL_PHASES, extra = [] } = this.options;
    const plan = (service: string, settings: () => Record<string, string> = () => ({})) =>
      this.plan(service, settings);
    const validators = () => ({ FORGE_VALIDATORS_ADDRESS: this.addressesOf('validators') });
    const waves: ProcessPlan[][] = [
      [this.nats],
      plan('validators'),
      [
        ...plan('orchestrator', validators),
        ...[...phases, ...extra.map(({ name }) => name)].flatMap((phase) => plan(phase)),
      ],
      plan('pipeline-controller', () => ({
        ...validators(),
        FORGE_ORCHESTRATOR_ADDRESS: this.addressesOf('orchestrator'),
      })),
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

  /** The processes of a service. */
  private plan(service: string, settings: () => Record<string, string>): ServicePlan[] {
    const { root, env, extra = [], replicas = {}, settingsOf } = this.options;
    const names = processNames(service, replicas[service] ?? 1);
    this.replicas.set(service, names);
    return names.map((name) => {
      const member = new ServicePlan({
        name,
        main: mainOf(service, root, extra),
        root,
        dataDir: this.dataDir,
        env,
        settings: () => {
          const usual = { ...this.commonSettings(), ...settings() };
          return { ...usual, ...settingsOf?.(name, usual) };
        },
      });
      this.services.set(name, member);
      return member;
    });
  }

  private async launch(plan: ProcessPlan): Promise<void> {
    this.options.progress?.(plan.name);
    const { notify, maxFailedStarts } = this.options;
    const giveUp = (error: Error) => this.giveUp(error);
    const process = new ManagedProcess(plan, this.guard, notify, giveUp, maxFailedStarts);
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

  /** Where all processes of a service listen, with commas. */
  private addressesOf(service: string): string {
    const names = this.replicas.get(service) ?? [];
    return names.map((name) => this.services.get(name)?.address?.grpc ?? '').join(',');
  }

  private async stopAll(): Promise<void> {
    clearInterval(this.rotation);
    rmSync(join(this.dataDir, 'endpoint.json'), { force: true });
    const engine = ['orchestrator', 'validators'];
    const isOf = (service: string) => (name: string) => this.replicas.get(service)?.includes(name) ?? false;
    const waves: ((name: string) => boolean)[] = [
      (name) => name !== 'nats-server' && !engine.some((service) => isOf(service)(name)),
      isOf('orchestrator'),
      isOf('validators'),
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

/** Names of all services that are started, NATS aside. */
function servicesOf({ phases = LOCAL_PHASES, extra = [] }: LocalStackOptions): string[] {
  return ['validators', 'orchestrator', 'pipeline-controller', ...phases, ...extra.map(({ name }) => name)];
}
