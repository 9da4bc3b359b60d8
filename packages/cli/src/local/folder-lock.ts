import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataFolderHeldError } from './local.errors.js';

/** Longest wait for what a killed owner left behind to be ended by its guard. */
const LEFTOVERS_WAIT_MS = 20_000;

interface Holder {
  readonly pid: number;
  readonly started: string;
  readonly command: string;
  readonly guardPid?: number;
}

/** Says whether a process is alive, and (where /proc tells) that it is the one that began at `started`. */
export function isAlive(pid: number, started = ''): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return started === '' || startOf(pid) === '' || startOf(pid) === started;
}

/** The right to use a data folder: one process at a time. Left behind by a process that died, it is taken over. */
export class FolderLock {
  private constructor(
    private readonly file: string,
    private readonly holder: Holder,
  ) {}

  /**
   * Takes the lock of a folder, which is created when missing.
   * @throws DataFolderHeldError FAILED_PRECONDITION: another process holds it; its pid is in the message
   */
  static async acquire(dataDir: string, command: string): Promise<FolderLock> {
    mkdirSync(dataDir, { recursive: true });
    const file = join(dataDir, 'lock');
    const holder: Holder = { pid: process.pid, started: startOf(process.pid), command };
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, JSON.stringify(holder));
    try {
      for (;;) {
        try {
          linkSync(draft, file);
          return new FolderLock(file, holder);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        }
        const other = readHolder(file);
        if (other && isAlive(other.pid, other.started))
          throw new DataFolderHeldError(dataDir, other.pid, other.command);
        if (other?.guardPid) await waitForEnd(other.guardPid);
        removeStale(file, other);
      }
    } finally {
      rmSync(draft, { force: true });
    }
  }

  /** Notes the guard, so that a successor waits until it has ended what this process may leave behind. */
  noteGuard(guardPid: number): void {
    writeFileSync(this.file, JSON.stringify({ ...this.holder, guardPid }));
  }

  /** Gives the folder back. */
  release(): void {
    if (readHolder(this.file)?.pid === process.pid) rmSync(this.file, { force: true });
  }
}

/** Removes the lock of a holder that is gone; puts it back when another process was faster and it is that one's now. */
function removeStale(file: string, stale: Holder | undefined): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
    const found = readHolder(aside);
    if (found && (found.pid !== stale?.pid || found.started !== stale.started)) linkSync(aside, file);
  } catch {
    // Somebody else removed it or took the lock meanwhile: the next attempt sees which.
  }
  rmSync(aside, { force: true });
}

function readHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

async function waitForEnd(pid: number): Promise<void> {
  const deadline = Date.now() + LEFTOVERS_WAIT_MS;
  while (Date.now() < deadline && isAlive(pid)) await sleep(50);
}

/** Start time of a process in clock ticks since boot (proc(5), stat field 22); empty where /proc does not exist. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
