import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';

/** How a server for a test is started. */
export interface NatsServerOptions {
  /** Port to listen on; absent takes a free one. */
  readonly port?: number;
  /** JetStream directory; absent makes a temporary one that `stop()` removes. */
  readonly storeDir?: string;
}

/** Time a server gets to answer after its start. */
const START_TIMEOUT_MS = 15_000;

/** No server binary was found, or the server did not start. */
export class NatsServerError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('FAILED_PRECONDITION', message, { reason: 'NATS_SERVER_UNUSABLE', cause });
  }
}

/**
 * Path of the nats-server binary: `FORGE_NATS_SERVER`, else the first on PATH, else `/usr/sbin/nats-server`.
 * @throws NatsServerError  FAILED_PRECONDITION: there is none
 */
export function findNatsServer(env: NodeJS.ProcessEnv = process.env): string {
  const named = env['FORGE_NATS_SERVER'];
  const candidates = named
    ? [named]
    : [...(env['PATH'] ?? '').split(delimiter).filter(Boolean), '/usr/sbin'].map((dir) =>
        join(dir, 'nats-server'),
      );
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // not here: try the next place
    }
  }
  throw new NatsServerError('nats-server was not found: install it, or name it in FORGE_NATS_SERVER');
}

/** A real nats-server with JetStream on loopback, for tests: it can be killed and started again. */
export class NatsServer {
  private constructor(
    private readonly binary: string,
    /** Directory that holds all streams. */
    readonly storeDir: string,
    private readonly workDir: string,
    private process: ChildProcess,
    /** Port it listens on; the same after a restart. */
    readonly port: number,
  ) {}

  /** Starts a server and waits until it accepts connections. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const binary = findNatsServer();
    const workDir = await mkdtemp(join(tmpdir(), 'forge-nats-'));
    const storeDir = options.storeDir ?? join(workDir, 'jetstream');
    await mkdir(storeDir, { recursive: true });
    const { child, port } = await launch(binary, storeDir, workDir, options.port ?? -1);
    return new NatsServer(binary, storeDir, workDir, child, port);
  }

  /** Where clients connect. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Process id of the running server. */
  get pid(): number {
    return this.process.pid ?? -1;
  }

  /** Ends the server with a signal and waits until it is gone; its store stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exited;
  }

  /** Starts the server again on the same port and store; kills it first if it runs. */
  async restart(): Promise<void> {
    await this.kill();
    const { child } = await launch(this.binary, this.storeDir, this.workDir, this.port);
    this.process = child;
  }

  /** Ends the server and removes what it left in temporary folders. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.workDir, { recursive: true, force: true });
  }
}

/** Starts a nats-server for a test; see {@link NatsServer}. */
export function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  return NatsServer.start(options);
}

async function launch(binary: string, storeDir: string, workDir: string, port: number) {
  const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', storeDir, '--ports_file_dir', workDir];
  const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new NatsServerError(`cannot run ${binary}`, error)));
    child.once('exit', (code) =>
      reject(new NatsServerError(`nats-server ended with ${code} at start: ${log}`)),
    );
  });
  failed.catch(() => {
    // also rejected when the server ends later, after the race below is over
  });
  try {
    const bound = await Promise.race([failed, portOf(child, workDir)]);
    child.unref();
    return { child, port: bound };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** The server writes its ports once it listens. */
async function portOf(child: ChildProcess, workDir: string): Promise<number> {
  const suffix = `_${child.pid}.ports`;
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const file = (await readdir(workDir)).find((name) => name.endsWith(suffix));
    const text = file ? await readFile(join(workDir, file), 'utf8') : '';
    const match = /"nats":\s*\[\s*"nats:\/\/[^"]*:(\d+)"/.exec(text);
    if (match) return Number(match[1]);
    await sleep(20);
  }
  throw new NatsServerError(`nats-server did not listen within ${START_TIMEOUT_MS} ms`);
}
