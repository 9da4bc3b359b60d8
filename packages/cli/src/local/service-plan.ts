import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ServiceAddress, waitForService } from './address-file.js';
import { NotBuiltError } from './local.errors.js';
import { LogFile } from './log-file.js';
import type { ProcessPlan } from './managed-process.js';
import type { Environment } from './nats-plan.js';

const READY_TIMEOUT_MS = 60_000;

/** Where a service is and what it is told besides its own ports. */
export interface ServiceOptions {
  /** Name of the process: that of the service, with a number from the second replica on. */
  readonly name: string;
  /** Compiled file that starts it. */
  readonly main: string;
  /** Root of the workspace. */
  readonly root: string;
  readonly dataDir: string;
  readonly env: Environment;
  /** Addresses of others; asked on every start. */
  readonly settings: () => Readonly<Record<string, string>>;
}

/** One service as a process on loopback: free ports at first, the same ones after a restart. */
export class ServicePlan implements ProcessPlan {
  readonly name: string;
  readonly log: LogFile;
  readonly readyTimeoutMs = READY_TIMEOUT_MS;
  private known: ServiceAddress | undefined;
  private readonly addressFile: string;

  /** @throws NotBuiltError FAILED_PRECONDITION: the service is not compiled */
  constructor(private readonly options: ServiceOptions) {
    this.name = options.name;
    if (!existsSync(options.main)) throw new NotBuiltError(options.main);
    this.log = new LogFile(join(options.dataDir, 'logs', `${options.name}.log`));
    this.addressFile = join(options.dataDir, 'run', `${options.name}.json`);
    mkdirSync(join(options.dataDir, 'run'), { recursive: true });
  }

  /** Where it listens; undefined before it first did. */
  get address(): ServiceAddress | undefined {
    return this.known;
  }

  launch() {
    const { env, settings, root, main } = this.options;
    const inherited = Object.entries(env).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value]],
    );
    return {
      command: process.execPath,
      args: ['--enable-source-maps', main],
      cwd: root,
      env: {
        ...(Object.fromEntries(inherited) as Record<string, string>),
        ...settings(),
        FORGE_GRPC_HOST: '127.0.0.1',
        FORGE_HTTP_HOST: '127.0.0.1',
        FORGE_GRPC_PORT: portOf(this.known?.grpc),
        FORGE_HTTP_PORT: portOf(this.known?.http),
        FORGE_ADDRESS_FILE: this.addressFile,
      },
    };
  }

  async ready(pid: number, signal: AbortSignal): Promise<void> {
    this.known = await waitForService(this.addressFile, pid, signal);
  }
}

function portOf(address: string | undefined): string {
  return address?.slice(address.lastIndexOf(':') + 1) ?? '0';
}
