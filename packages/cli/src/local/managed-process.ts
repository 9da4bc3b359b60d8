import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadline } from './deadline.js';
import { LocalProcessError } from './local.errors.js';
import type { LogFile } from './log-file.js';
import type { ProcessGuard } from './process-guard.js';

/** Wait before a restart: doubles from the first to the last; starts over after the process ran well for a while. */
const BACKOFF_MS = { first: 100, last: 5_000, healthyAfter: 10_000 };
const MAX_FAILED_STARTS = 6;

/** What to run and how to see that it is ready. */
export interface ProcessPlan {
  readonly name: string;
  readonly log: LogFile;
  /** Command, arguments and environment of the next start. Asked again on every start, so ports can be pinned. */
  launch(): { command: string; args: readonly string[]; env: Readonly<Record<string, string>>; cwd: string };
  /** Resolves when the process with this pid serves; rejects when `signal` aborts. */
  ready(pid: number, signal: AbortSignal): Promise<void>;
  /** Longest wait for readiness, in milliseconds. */
  readonly readyTimeoutMs: number;
}

/** How a process ended, in words: `was killed by SIGKILL`, `exited with code 1`. */
export function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `was killed by ${signal}` : `exited with code ${code ?? 0}`;
}

/**
 * One process that is kept alive: started, watched, started again when it dies, and ended on request. It runs in a
 * session of its own, so that Ctrl-C reaches the owner alone, which then ends everything in order.
 */
export class ManagedProcess {
  private child: ChildProcess | undefined;
  private stopping = false;
  private failedStarts = 0;
  private backoffMs = BACKOFF_MS.first;
  private readonly abort = new AbortController();

  constructor(
    private readonly plan: ProcessPlan,
    private readonly guard: ProcessGuard,
    private readonly notify: (line: string) => void,
    private readonly giveUp: (error: Error) => void,
    /** Restarts in a row that never became ready before giving up. */
    private readonly maxFailedStarts = MAX_FAILED_STARTS,
  ) {}

  /** Name of the process. */
  get name(): string {
    return this.plan.name;
  }

  /** Process id while it runs. */
  get pid(): number | undefined {
    return this.child?.exitCode === null && this.child.signalCode === null ? this.child.pid : undefined;
  }

  /**
   * Starts it and waits until it serves.
   * @throws LocalProcessError UNAVAILABLE: it ended or was not ready in time; the end of its log is in the message
   */
  async start(): Promise<void> {
    const child = this.spawn();
    const exited = new Promise<never>((_, reject) => {
      child.once('error', (error) => reject(this.failure(`cannot be started: ${error.message}`)));
      child.once('exit', (code, signal) => reject(this.failure(describeExit(code, signal))));
    });
    const limit = deadline(this.plan.readyTimeoutMs, this.abort.signal);
    try {
      await Promise.race([this.plan.ready(child.pid ?? 0, limit.signal), exited]);
    } catch (error) {
      if (!limit.signal.aborted || this.stopping) throw error;
      throw this.failure(`was not ready within ${this.plan.readyTimeoutMs / 1_000} s`);
    } finally {
      limit.dispose();
      exited.catch(() => undefined);
    }
    const readyAt = Date.now();
    this.failedStarts = 0;
    child.once('exit', (code, signal) => {
      if (Date.now() - readyAt > BACKOFF_MS.healthyAfter) this.backoffMs = BACKOFF_MS.first;
      if (!this.stopping) void this.restart(describeExit(code, signal));
    });
    if (child.exitCode !== null || child.signalCode !== null) throw this.failure('ended at once');
  }

  /** Asks it to end, and makes it end after the grace time. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    this.abort.abort();
    const child = this.child;
    if (!child || this.pid === undefined) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const forced = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(forced);
  }

  private spawn(): ChildProcess {
    const { command, args, env, cwd } = this.plan.launch();
    const output = this.plan.log.open();
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', output, output] });
    closeSync(output);
    this.child = child;
    const { pid } = child;
    if (pid !== undefined) {
      this.guard.add(pid);
      child.once('exit', () => this.guard.remove(pid));
    }
    return child;
  }

  private async restart(how: string): Promise<void> {
    this.notify(`${this.plan.name} ${how}; starting it again`);
    while (!this.stopping) {
      await sleep(this.backoffMs, undefined, { signal: this.abort.signal }).catch(() => undefined);
      this.backoffMs = Math.min(BACKOFF_MS.last, this.backoffMs * 2);
      if (this.stopping) return;
      try {
        await this.start();
        return;
      } catch (error) {
        if (this.stopping) return;
        this.child?.kill('SIGKILL');
        this.failedStarts++;
        if (this.failedStarts >= this.maxFailedStarts) {
          this.giveUp(error instanceof Error ? error : new Error(String(error)));
          return;
        }
      }
    }
  }

  private failure(what: string): LocalProcessError {
    return new LocalProcessError(this.plan.name, what, this.plan.log.path, this.plan.log.tail());
  }
}
