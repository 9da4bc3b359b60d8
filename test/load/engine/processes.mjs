import { readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: 100 on every Linux that Node.js runs on. */
const TICKS_PER_S = 100;

/** CPU time that a process has used, its threads and no children, seconds. */
export function cpuSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 and 15 of proc(5), user and system time; the list begins with field 3.
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Resident memory of a process, bytes; now, and the most it ever had. */
export function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { bytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

/**
 * What processes use of the CPU between two moments.
 * @param pids  by name
 */
export class CpuWindow {
  #startMs = performance.now();
  #start;
  #pids;

  constructor(pids) {
    this.#pids = pids;
    this.#start = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)]));
  }

  /** @returns seconds that passed, and CPU seconds of each process */
  read() {
    const seconds = (performance.now() - this.#startMs) / 1000;
    const cpu = Object.fromEntries(
      Object.entries(this.#pids).map(([name, pid]) => [name, cpuSeconds(pid) - this.#start[name]]),
    );
    return { seconds, cpu };
  }
}

/** Cores that each process kept busy, largest first, in words: "orchestrator 0.81, nats-server 0.35 of 2 cores". */
export function busyCores({ seconds, cpu }, cores) {
  const shares = Object.entries(cpu)
    .map(([name, used]) => [name, used / seconds])
    .filter(([, share]) => share >= 0.02)
    .sort(([, a], [, b]) => b - a)
    .map(([name, share]) => `${name} ${share.toFixed(2)}`);
  const sum = Object.values(cpu).reduce((total, used) => total + used, 0) / seconds;
  return `cores in use: ${shares.join(', ')}; ${sum.toFixed(2)} of ${cores}`;
}
