import { parseRunName, RunState } from '@agentforge/contracts';
import { foldRun, isTerminalRun, type RunBatch, type RunRecord } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { FieldValues } from '../domain/filter.js';
import { type Ordered, SortedLog } from '../domain/sorted-log.js';

/** A run in the index. Ordered by when it was created. */
export interface RunEntry extends Ordered {
  readonly name: string;
  readonly project: string;
  readonly record: RunRecord;
}

interface Waiter {
  readonly revision: bigint;
  readonly resolve: () => void;
}

/** Every run, folded from the log: the read model behind lists and single runs. */
export class RunIndex {
  readonly #entries = new Map<string, { -readonly [K in keyof RunEntry]: RunEntry[K] }>();
  readonly #all = new SortedLog<RunEntry>();
  readonly #byProject = new Map<string, SortedLog<RunEntry>>();
  readonly #byRequest = new Map<string, string>();
  readonly #waiters = new Map<string, Set<Waiter>>();

  /** Takes in a batch of the log; returns the run after it, or undefined when it was known. */
  apply(batch: RunBatch): RunRecord | undefined {
    const entry = this.#entries.get(batch.run);
    if (entry && batch.revision <= entry.record.revision) return undefined;
    const record = foldRun(entry?.record, batch, batch.revision);
    if (entry) entry.record = record;
    else this.#add(record, batch.revision);
    this.#notify(batch.run, batch.revision);
    return record;
  }

  get(name: string): RunRecord | undefined {
    return this.#entries.get(name)?.record;
  }

  /** The run that a request id of a project created. */
  nameOfRequest(project: string, requestId: string): string | undefined {
    return this.#byRequest.get(`${project}/${requestId}`);
  }

  /** Runs of a project ("-" for all) from a place on. */
  entries(project: string, isDescending: boolean, from: Ordered | undefined): Iterable<RunEntry> {
    const log = project === '-' ? this.#all : this.#byProject.get(project);
    if (log === undefined) return [];
    return isDescending ? log.descending(from) : log.ascending(from);
  }

  /** Runs by state. */
  countByState(): Map<RunState, number> {
    const counts = new Map<RunState, number>();
    for (const { record } of this.#entries.values())
      counts.set(record.state, (counts.get(record.state) ?? 0) + 1);
    return counts;
  }

  /** Resolves when the index has taken in a revision of a run, or when the time is over: then with false. */
  async waitFor(name: string, revision: bigint, timeoutMs: number): Promise<boolean> {
    if ((this.get(name)?.revision ?? 0n) >= revision) return true;
    const waiters = this.#waiters.get(name) ?? new Set();
    this.#waiters.set(name, waiters);
    return new Promise((resolve) => {
      const waiter: Waiter = { revision, resolve: () => end(true) };
      const timer = setTimeout(() => end(false), timeoutMs);
      const end = (isThere: boolean) => {
        clearTimeout(timer);
        waiters.delete(waiter);
        if (waiters.size === 0 && this.#waiters.get(name) === waiters) this.#waiters.delete(name);
        resolve(isThere);
      };
      waiters.add(waiter);
    });
  }

  #add(record: RunRecord, sequence: bigint): void {
    const project = parseRunName(record.name)?.project ?? '';
    const entry = { name: record.name, project, record, sequence, offset: 0 };
    this.#entries.set(record.name, entry);
    this.#all.add(entry);
    const own = this.#byProject.get(project) ?? new SortedLog<RunEntry>();
    this.#byProject.set(project, own);
    own.add(entry);
    if (record.requestId !== '') this.#byRequest.set(`${project}/${record.requestId}`, record.name);
  }

  #notify(name: string, revision: bigint): void {
    for (const waiter of this.#waiters.get(name) ?? []) if (waiter.revision <= revision) waiter.resolve();
  }
}

/** Fields of a run that a filter may name. */
export const RUN_FIELDS = {
  state: 'word',
  display_name: 'text',
  phase: 'texts',
  labels: 'map',
  create_time: 'time',
} as const;

/** Values of a run for a filter. */
export function runFields(record: RunRecord): FieldValues {
  return {
    state: RunState[record.state] ?? '',
    display_name: record.displayName,
    get phase() {
      return [...new Set(record.steps.toArray().map(({ spec }) => spec.phase))];
    },
    labels: record.labels,
    create_time: timestampMs(record.createTime),
  };
}

/** Whether a run will not change by itself any more. */
export const hasEnded = (record: RunRecord): boolean => isTerminalRun(record.state);
