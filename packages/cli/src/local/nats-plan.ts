import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProgramMissingError } from './local.errors.js';
import { LogFile } from './log-file.js';
import type { ProcessPlan } from './managed-process.js';
import { findProgram, isExecutable } from './programs.js';

const READY_TIMEOUT_MS = 30_000;

/** Environment variables, as they were given to this process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** nats-server with JetStream on loopback: a free port at first, the same one after a restart. */
export class NatsPlan implements ProcessPlan {
  readonly name = 'nats-server';
  readonly readyTimeoutMs = READY_TIMEOUT_MS;
  readonly log: LogFile;
  private port: number | undefined;
  private readonly program: string;
  private readonly portsDir: string;

  /** @throws ProgramMissingError FAILED_PRECONDITION: nats-server is not installed */
  constructor(
    private readonly dataDir: string,
    private readonly env: Environment,
  ) {
    const program = findNatsServer(env);
    if (!program) {
      throw new ProgramMissingError(
        'nats-server',
        'install it (Debian and Ubuntu: apt-get install nats-server; macOS: brew install nats-server), ' +
          'or name it in FORGE_NATS_SERVER',
      );
    }
    this.program = program;
    this.log = new LogFile(join(dataDir, 'logs', 'nats-server.log'));
    this.portsDir = join(dataDir, 'run', 'nats');
    mkdirSync(join(dataDir, 'nats'), { recursive: true });
  }

  /** Where clients connect; known once it is ready. */
  get url(): string {
    return `nats://127.0.0.1:${this.port ?? 0}`;
  }

  launch() {
    rmSync(this.portsDir, { recursive: true, force: true });
    mkdirSync(this.portsDir, { recursive: true });
    const args = ['-a', '127.0.0.1', '-p', String(this.port ?? -1), '-js', '-sd', join(this.dataDir, 'nats')];
    return {
      command: this.program,
      args: [...args, '--ports_file_dir', this.portsDir],
      env: { PATH: this.env['PATH'] ?? '' },
      cwd: this.dataDir,
    };
  }

  async ready(_pid: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const port = this.readPort();
      if (port !== undefined && (await accepts(port))) {
        this.port = port;
        return;
      }
      await sleep(20, undefined, { signal });
    }
  }

  private readPort(): number | undefined {
    try {
      const [file] = readdirSync(this.portsDir);
      const ports = JSON.parse(readFileSync(join(this.portsDir, file ?? ''), 'utf8')) as { nats?: string[] };
      const port = Number(new URL(ports.nats?.[0] ?? '').port);
      return port > 0 ? port : undefined;
    } catch {
      return undefined;
    }
  }
}

/** The nats-server to run: the one in FORGE_NATS_SERVER, otherwise the one that is installed. */
export function findNatsServer(env: Environment): string | undefined {
  const named = env['FORGE_NATS_SERVER'];
  if (!named) return findProgram('nats-server', env);
  return isExecutable(named) ? named : undefined;
}

/** Whether something listens and greets like a NATS server. */
function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('data', (data) => end(data.toString('latin1').startsWith('INFO')));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
