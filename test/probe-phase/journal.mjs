/**
 * What probes did, outside of everything that is tested: one file per process, one line per fact, appended before the
 * work goes on. Times are of the machine's clock, whatever the process believes.
 */
import { appendFileSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';

/** Time of the machine in ms since 1970: not the Date of a process, whose clock a test may have turned. */
export const machineTimeMs = () => performance.timeOrigin + performance.now();

/** Where one execution of a step writes. */
export class Journal {
  #file;
  #marks;
  #key;
  #life;

  /**
   * @param folder  created when missing
   * @param key     what the lines call the step; unique among all steps that share the folder
   */
  constructor(folder, key) {
    this.#marks = join(folder, 'marks');
    mkdirSync(this.#marks, { recursive: true });
    this.#key = key;
    this.#life = `${process.pid}-${threadId}-${Math.round(machineTimeMs())}`;
    this.#file = join(folder, `${process.pid}.jsonl`);
  }

  /** @param kind  begin, unit, checkpoint, fail, crash, done  @param unit  the unit, or the next one for begin and checkpoint */
  write(kind, unit) {
    const line = { key: this.#key, life: this.#life, kind, unit, pid: process.pid, timeMs: machineTimeMs() };
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /** Whether this is one of the first `limit` times that the step does something, over all its processes. */
  isAmongFirst(what, limit) {
    for (let n = 0; n < limit; n++) {
      try {
        closeSync(openSync(join(this.#marks, `${this.#key}.${what}.${n}`), 'wx'));
        return true;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
    }
    return false;
  }
}

/** Every line of a folder, oldest first. A line that a kill cut short is left out. */
export function readJournal(folder) {
  const lines = [];
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.jsonl'))) {
    for (const text of readFileSync(join(folder, name), 'utf8').split('\n')) {
      try {
        lines.push(JSON.parse(text));
      } catch {
        // The empty end, or a line whose process died while it wrote.
      }
    }
  }
  return lines.sort((a, b) => a.timeMs - b.timeMs);
}
