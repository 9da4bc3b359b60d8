import { CHUNK_ENTRIES, type Snapshot } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { Snapshots } from '../ports/snapshots.port.js';
import type { ArtifactIndex } from './artifact-index.js';
import { type HistoryEntry, historyEntry } from './history-entry.js';
import type { LineageIndex } from './lineage-index.js';
import type { RunIndex } from './run-index.js';

/**
 * Writes the read model down, so that the next start needs not replay the log: the runs that ended since the last
 * snapshot are added to it. Any number of replicas may do so; who comes second takes over what the first one wrote.
 */
export class HistoryKeeper {
  /** Runs that ended since the base, with the revision at which they did. */
  readonly #ended = new Map<string, bigint>();
  /** Runs that are too large for an entry; their logs are read at every start. */
  readonly #large = new Set<string>();
  #upTo = 0n;
  #base: Snapshot | undefined;
  #saving: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isGivenUp = false;

  constructor(
    private readonly snapshots: Snapshots,
    private readonly runs: RunIndex,
    private readonly artifacts: ArtifactIndex,
    private readonly lineage: LineageIndex,
    private readonly logger: Logger,
  ) {}

  /** When the newest snapshot was written. */
  get savedAt(): Date | undefined {
    return this.#base?.time;
  }

  /** Goes on from a snapshot that was taken in. */
  begin(base: Snapshot): void {
    this.#base = base;
    this.#upTo = base.upTo;
    for (const name of base.openRuns) this.#note(name, base.upTo);
  }

  /** Writes from time to time. Replicas do it at different times. */
  every(intervalMs: number): void {
    const next = () => {
      this.#timer = setTimeout(() => void this.save().finally(next), intervalMs * (0.5 + Math.random()));
      this.#timer.unref();
    };
    next();
  }

  /** A batch was taken in; resolves at once, unless so much is to be written that memory would not stay flat. */
  async observe(run: string, sequence: bigint): Promise<void> {
    this.#upTo = sequence;
    this.#note(run, sequence);
    if (this.#ended.size >= CHUNK_ENTRIES) await this.save();
  }

  /** Writes what ended since the last time. Never throws: without a snapshot a start takes longer, no more. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.save();
  }

  #note(run: string, sequence: bigint): void {
    const standing = this.runs.standing(run);
    if (standing?.hasEnded && standing.quarantine === undefined) this.#ended.set(run, sequence);
    else this.#ended.delete(run);
  }

  async #save(): Promise<void> {
    const base = this.#base;
    if (this.#isGivenUp || this.#ended.size === 0 || this.#upTo <= (base?.upTo ?? 0n)) return;
    const names = [...this.#ended.keys()];
    const entries = names.flatMap((name) => this.#entryOf(name) ?? []);
    const open = new Set([...this.runs.liveRuns(), ...this.#large, ...(base?.openRuns ?? [])]);
    for (const { run } of entries) open.delete(run.name);
    const head = { upTo: this.#upTo, openRuns: [...open] };
    for (const name of names) this.#ended.delete(name);
    try {
      this.#base = await this.snapshots.save(head, entries, base);
      this.logger.info('snapshot.written', { count: entries.length, sequence: Number(head.upTo) });
    } catch (error) {
      for (const { run } of entries)
        if (!this.#ended.has(run.name)) this.#ended.set(run.name, BigInt(run.revision));
      this.logger.warn('snapshot.failed', { operation: 'write', error });
      await this.#takeOver(base).catch(() => undefined);
    }
  }

  /** What another replica wrote is the base from now on; what it covers need not be written again. */
  async #takeOver(before: Snapshot | undefined): Promise<void> {
    const theirs = await this.snapshots.load();
    // Entries of the old base are nowhere now but in memory of others: the next start replays, and writes them.
    if (theirs === undefined) this.#isGivenUp = before !== undefined;
    else if (theirs.revision !== before?.revision) {
      this.#base = theirs;
      for (const [name, revision] of this.#ended) if (revision <= theirs.upTo) this.#ended.delete(name);
    }
  }

  #entryOf(name: string): HistoryEntry | undefined {
    const run = this.runs.entry(name);
    if (run === undefined || run.live) return undefined;
    const entry = historyEntry(run, this.artifacts.ofRun(name), this.lineage.ofRun(name));
    if (entry === undefined) this.#large.add(name);
    return entry;
  }
}
