import { type Failure, parseRunName, RunState } from '@agentforge/contracts';
import { followRun, isTerminalRun, type RunBatch, type RunRecord } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { FieldValues } from '../domain/filter.js';
import { type Ordered, SortedLog } from '../domain/sorted-log.js';
import { EndOrder, type EndPlace } from './end-order.js';
import { RecordCache } from './record-cache.js';
import { type RunSummary, summaryOf } from './run-summary.js';

/** Steps of ended runs that are kept in full: some 60 MB. */
const CACHED_STEPS = 20_000;

/** A run in the index. Ordered by when it was created. */
export interface RunEntry extends Ordered {
  readonly name: string;
  readonly project: string;
  /** The run in full while it goes on; undefined once it has ended. */
  readonly live: RunRecord | undefined;
  /** The run as lists show it. */
  readonly summary: RunSummary;
}

/** How far a run is. */
export interface Standing {
  readonly state: RunState;
  readonly revision: bigint;
  readonly hasEnded: boolean;
  /** Why its log cannot be followed any further. */
  readonly quarantine: Failure | undefined;
}

interface Waiter {
  readonly revision: bigint;
  readonly resolve: () => void;
}

/** A run that goes on has its record, one that has ended its summary. */
class Entry implements RunEntry {
  readonly project: string;
  readonly offset = 0;
  #current: RunRecord | RunSummary;

  constructor(
    readonly name: string,
    readonly sequence: bigint,
    current: RunRecord | RunSummary,
  ) {
    this.project = parseRunName(name)?.project ?? '';
    this.#current = current;
  }

  get live(): RunRecord | undefined {
    return 'steps' in this.#current ? this.#current : undefined;
  }

  get summary(): RunSummary {
    return 'steps' in this.#current ? summaryOf(this.#current) : this.#current;
  }

  get state(): RunState {
    return this.#current.state;
  }

  get revision(): bigint {
    return BigInt(this.#current.revision);
  }

  replace(current: RunRecord | RunSummary): void {
    this.#current = current;
  }
}

/**
 * Every run, folded from the log: the read model behind lists and single runs. Runs that go on are held in full; of
 * those that have ended there are summaries, and the few that were asked for last.
 */
export class RunIndex {
  readonly #entries = new Map<string, Entry>();
  readonly #all = new SortedLog<RunEntry>();
  readonly #byProject = new Map<string, SortedLog<RunEntry>>();
  readonly #byRequest = new Map<string, string>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #ended = new RecordCache(CACHED_STEPS);
  readonly #endOrder = new EndOrder<RunEntry>();

  /**
   * Takes in a batch of the log; returns the run after it, or undefined when it was known.
   * @param before  the run before the batch, when it has ended and {@link record} does not have it
   */
  apply(batch: RunBatch, before?: RunRecord): RunRecord | undefined {
    const entry = this.#entries.get(batch.run);
    if (entry && batch.revision <= entry.revision) return undefined;
    const known = this.record(batch.run) ?? before;
    const record = followRun(known, batch);
    if (record === known) return undefined;
    this.#put(record, batch.revision);
    this.#notify(batch.run, batch.revision);
    return record;
  }

  /** Takes in a run as its log has it, in the place of one in quarantine. */
  recover(record: RunRecord): void {
    this.#put(record, record.revision);
    this.#notify(record.name, record.revision);
  }

  /** Takes in a run that has ended, from a snapshot. @param sequence  of its first batch */
  restore(summary: RunSummary, sequence: bigint): void {
    const entry = this.#entries.get(summary.name) ?? new Entry(summary.name, sequence, summary);
    if (this.#entries.has(summary.name)) entry.replace(summary);
    else this.#add(entry, summary.requestId);
    this.#endOrder.add(entry, summary.endMs ?? summary.createMs);
  }

  /** Keeps a run that has ended and was read from its log, for whoever asks next. */
  keep(record: RunRecord): void {
    const entry = this.#entries.get(record.name);
    if (entry && !entry.live && entry.revision === record.revision) this.#ended.set(record);
  }

  /** The run in full, if it goes on or was asked for lately. */
  record(name: string): RunRecord | undefined {
    return this.#entries.get(name)?.live ?? this.#ended.get(name);
  }

  /** The run as lists show it. */
  entry(name: string): RunEntry | undefined {
    return this.#entries.get(name);
  }

  /** How far a run is; undefined when there is no such run. */
  standing(name: string): Standing | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const { state, revision, live } = entry;
    return { state, revision, hasEnded: isTerminalRun(state), quarantine: live?.quarantine };
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

  /** Runs of a project ("-" for all) by when they ended, from a place on; those that go on end last. */
  *byEnd(
    project: string,
    isDescending: boolean,
    from: Ordered | undefined,
  ): Generator<EndPlace<RunEntry>, void, undefined> {
    const byCreation = this.entries(project, isDescending, undefined);
    for (const place of this.#endOrder.from(from, isDescending, byCreation))
      if (project === '-' || place.entry.project === project) yield place;
  }

  /** Names of the runs that have not ended. */
  liveRuns(): string[] {
    return [...this.#entries.values()].filter(({ live }) => live !== undefined).map(({ name }) => name);
  }

  /** Runs by state. */
  countByState(): Map<RunState, number> {
    const counts = new Map<RunState, number>();
    for (const { state } of this.#entries.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    return counts;
  }

  /** Resolves when the index has taken in a revision of a run, or when the time is over: then with false. */
  async waitFor(name: string, revision: bigint, timeoutMs: number): Promise<boolean> {
    if ((this.#entries.get(name)?.revision ?? 0n) >= revision) return true;
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

  #put(record: RunRecord, sequence: bigint): void {
    const hasEndedNow = isTerminalRun(record.state) && record.quarantine === undefined;
    const current = hasEndedNow ? summaryOf(record) : record;
    const entry = this.#entries.get(record.name) ?? new Entry(record.name, sequence, current);
    if (this.#entries.has(record.name)) entry.replace(current);
    else this.#add(entry, record.requestId);
    if (hasEndedNow) this.#endOrder.add(entry, timestampMs(record.endTime ?? record.createTime));
    if (hasEndedNow) this.#ended.set(record);
    else this.#ended.delete(record.name);
  }

  #add(entry: Entry, requestId: string): void {
    const { name, project } = entry;
    this.#entries.set(name, entry);
    this.#all.add(entry);
    const own = this.#byProject.get(project) ?? new SortedLog<RunEntry>();
    this.#byProject.set(project, own);
    own.add(entry);
    if (requestId !== '') this.#byRequest.set(`${project}/${requestId}`, name);
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
  outcome: 'word',
  start_time: 'time',
  end_time: 'time',
} as const;

/** Values of a run for a filter: of its record while it goes on, else of its summary. */
export function runFields(entry: RunEntry): FieldValues {
  const { live } = entry;
  const { state, displayName, labels } = live ?? entry.summary;
  const times = live
    ? {
        startMs: live.startTime && timestampMs(live.startTime),
        endMs: live.endTime && timestampMs(live.endTime),
      }
    : entry.summary;
  return {
    state: RunState[state] ?? '',
    display_name: displayName,
    get phase() {
      return entry.summary.phases;
    },
    labels,
    create_time: live ? timestampMs(live.createTime) : entry.summary.createMs,
    outcome: isTerminalRun(state) ? (RunState[state] ?? '') : 'NONE',
    ...(times.startMs === undefined ? {} : { start_time: times.startMs }),
    ...(times.endMs === undefined ? {} : { end_time: times.endMs }),
  };
}
