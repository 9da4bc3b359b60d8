import type { RunRecord } from '@agentforge/events';

/** Runs that ended and were asked for lately, in full: as many as have so many steps together. */
export class RecordCache {
  /** In the order of use, the oldest first. */
  readonly #records = new Map<string, RunRecord>();
  #steps = 0;

  /** @param maxSteps  about 3 kB each; a single run may have more */
  constructor(private readonly maxSteps: number) {}

  get(name: string): RunRecord | undefined {
    const record = this.#records.get(name);
    if (record === undefined) return undefined;
    this.#records.delete(name);
    this.#records.set(name, record);
    return record;
  }

  set(record: RunRecord): void {
    this.delete(record.name);
    this.#records.set(record.name, record);
    this.#steps += weightOf(record);
    for (const oldest of this.#records.keys()) {
      if (this.#steps <= this.maxSteps || oldest === record.name) return;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    this.#records.delete(name);
    this.#steps -= weightOf(record);
  }
}

/** A run without a step takes room too. */
const weightOf = (record: RunRecord): number => record.steps.length + 1;
