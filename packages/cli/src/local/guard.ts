/**
 * Ends processes whose owner is gone. Started by the local mode with a pipe as standard input: `+PID` and `-PID` lines
 * say what to watch. When the pipe closes, however the owner ended, everything still listed gets SIGTERM and,
 * after the grace time (first argument, milliseconds), SIGKILL. Works for any program and on any system.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const graceMs = Number(process.argv[2] ?? 5_000);
const watched = new Set<number>();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

/** Signals the process group of a leader, or the process alone; false when it is gone. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, name);
      return true;
    } catch {
      // No such group, or no such process: try the next, then it is gone.
    }
  }
  return false;
}

async function endAll(): Promise<void> {
  for (const pid of watched) signal(pid, 'SIGTERM');
  const deadline = Date.now() + graceMs;
  while (Date.now() < deadline && [...watched].some((pid) => signal(pid, 0))) await sleep(50);
  for (const pid of watched) signal(pid, 'SIGKILL');
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const pid = Number(line.slice(1));
    if (!Number.isSafeInteger(pid) || pid <= 1) return;
    if (line.startsWith('+')) watched.add(pid);
    else watched.delete(pid);
  })
  .on('close', () => void endAll().then(() => process.exit(0)));
