import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Compiled, because a process of its own cannot run TypeScript. The path is the same from src/ and dist/. */
const GUARD_FILE = fileURLToPath(new URL('../../dist/local/guard.js', import.meta.url));

/** Watches processes from a small process of its own, which ends them when this one is gone (SIGKILL included). */
export class ProcessGuard {
  private readonly watched = new Set<number>();
  private child: ChildProcess | undefined;
  private closed = false;

  constructor(private readonly graceMs: number) {
    this.start();
  }

  /** Process id of the guard. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Watches a process. */
  add(pid: number): void {
    this.watched.add(pid);
    this.tell(`+${pid}`);
  }

  /** Forgets a process that has ended. */
  remove(pid: number): void {
    this.watched.delete(pid);
    this.tell(`-${pid}`);
  }

  /** Ends the guard; whatever it still watches is ended with it. */
  close(): void {
    this.closed = true;
    this.child?.stdin?.end();
  }

  private start(): void {
    const child = spawn(process.execPath, [GUARD_FILE, String(this.graceMs)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: {},
    });
    this.child = child;
    child.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    child.on('exit', () => {
      if (!this.closed && this.child === child) this.start();
    });
    child.unref();
    const { stdin } = child as { stdin: { unref?: () => void } };
    stdin.unref?.();
    for (const pid of this.watched) this.tell(`+${pid}`);
  }

  private tell(line: string): void {
    this.child?.stdin?.write(`${line}\n`);
  }
}
