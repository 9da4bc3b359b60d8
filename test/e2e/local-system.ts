import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ArtifactService, PipelineService } from '@agentforge/contracts';
import { createClient } from '@agentforge/service-kit';

const root = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 120_000;

/** Agent Forge as a user starts it: `forge dev` in a folder of its own, real processes, real NATS, real gRPC. */
export class LocalSystem {
  readonly pipeline;
  readonly artifacts;

  private constructor(
    readonly dataDir: string,
    readonly server: string,
    private readonly process: ChildProcess,
    private readonly output: string[],
  ) {
    this.pipeline = createClient(PipelineService, server, { deadlineMs: 20_000 });
    this.artifacts = createClient(ArtifactService, server, { deadlineMs: 60_000 });
  }

  /** Starts everything and waits until the front door answers. */
  static async start(env: Record<string, string> = {}, args: readonly string[] = []): Promise<LocalSystem> {
    const dataDir = mkdtempSync(join(tmpdir(), 'forge-e2e-'));
    const child = spawn(
      process.execPath,
      [join(root, 'packages/cli/bin/forge.mjs'), 'dev', '--data', dataDir, ...args],
      {
        cwd: root,
        env: { ...process.env, FORGE_TASK_ACK_WAIT_MS: '3000', FORGE_COMPUTE_THREADS: '2', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => output.push(String(chunk)));
    const deadline = Date.now() + START_TIMEOUT_MS;
    const file = join(dataDir, 'endpoint.json');
    while (!existsSync(file)) {
      if (child.exitCode !== null || Date.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`forge dev did not start:\n${output.join('')}`);
      }
      await sleep(100);
    }
    const { server } = JSON.parse(readFileSync(file, 'utf8')) as { server: string };
    return new LocalSystem(dataDir, server, child, output);
  }

  /** What `forge dev` printed so far. */
  get printed(): string {
    return this.output.join('');
  }

  /** Process id of the supervisor. */
  get pid(): number {
    return this.process.pid ?? -1;
  }

  /** Process id of a service as of its last start. */
  pidOf(service: string): number {
    return (JSON.parse(readFileSync(join(this.dataDir, 'run', `${service}.json`), 'utf8')) as { pid: number })
      .pid;
  }

  /** Address of a service, "host:port". */
  addressOf(service: string, kind: 'grpc' | 'http' = 'grpc'): string {
    const file = JSON.parse(readFileSync(join(this.dataDir, 'run', `${service}.json`), 'utf8'));
    return (file as Record<'grpc' | 'http', string>)[kind];
  }

  /** Where NATS is, as of the last start of the whole system. */
  get natsUrl(): string {
    return (JSON.parse(readFileSync(join(this.dataDir, 'endpoint.json'), 'utf8')) as { nats: string }).nats;
  }

  /** Process id of the NATS server as of the last start of the whole system. */
  natsPid(): number {
    const { processes } = JSON.parse(readFileSync(join(this.dataDir, 'endpoint.json'), 'utf8')) as {
      processes: { name: string; pid: number }[];
    };
    return processes.find(({ name }) => name === 'nats-server')?.pid ?? -1;
  }

  /** Kills a service without warning. */
  kill(service: string): void {
    process.kill(this.pidOf(service), 'SIGKILL');
  }

  /** What a command of the command line prints against this system. */
  async forge(...args: string[]): Promise<string> {
    const command = [join(root, 'packages/cli/bin/forge.mjs'), '--server', this.server, ...args];
    const { stdout } = await promisify(execFile)(process.execPath, command);
    return stdout;
  }

  /** Stores a text as a corpus and returns its reference. */
  async uploadCorpus(text: string) {
    const { ref } = await this.artifacts.uploadArtifact(
      (async function* () {
        yield {
          part: {
            case: 'header' as const,
            value: { name: 'corpus.txt', type: 'corpus', mediaType: 'text/plain' },
          },
        };
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length; at += 1 << 20) {
          yield { part: { case: 'chunk' as const, value: bytes.subarray(at, at + (1 << 20)) } };
        }
      })(),
    );
    if (!ref) throw new Error('the upload returned no reference');
    return ref;
  }

  /** Stops everything and removes the folder. */
  async stop(): Promise<void> {
    this.pipeline.close();
    this.artifacts.close();
    if (this.process.exitCode === null) {
      const ended = new Promise((resolve) => this.process.once('exit', resolve));
      this.process.kill('SIGTERM');
      await ended;
    }
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until a condition holds; fails with its name when it does not in time. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(50);
  }
}
