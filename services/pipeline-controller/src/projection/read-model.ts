import { followRun, type RunBatch, type RunRecord, type Snapshot } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { RunHistory } from '../ports/run-history.port.js';
import type { Snapshots } from '../ports/snapshots.port.js';
import type { UploadLog } from '../ports/upload-log.port.js';
import { ArtifactIndex } from './artifact-index.js';
import type { HistoryEntry } from './history-entry.js';
import { HistoryKeeper } from './history-keeper.js';
import { LineageIndex } from './lineage-index.js';
import { RunIndex } from './run-index.js';

/** Logs of runs that are read at the same time at the start. */
const READERS = 16;

/** Runs and artifacts as queries see them, kept up to date by following the logs. */
export class ReadModel {
  runs = new RunIndex();
  artifacts = new ArtifactIndex();
  lineage = new LineageIndex();
  readonly #stop = new AbortController();
  readonly #loading = new Map<string, Promise<RunRecord | undefined>>();
  #keeper: HistoryKeeper;
  #following: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly history: RunHistory,
    private readonly uploads: UploadLog,
    private readonly snapshots: Snapshots,
    private readonly logger: Logger,
    private readonly snapshotIntervalMs: number,
  ) {
    this.#keeper = this.#newKeeper();
  }

  /** When the newest snapshot was written; undefined while there is none. */
  get savedAt(): Date | undefined {
    return this.#keeper.savedAt;
  }

  /** Resolves when everything that was there is taken in. */
  async start(): Promise<void> {
    const { signal } = this.#stop;
    const afterSequence = await this.#restore();
    const caughtUp = (follow: (onCaughtUp: () => void) => Promise<void>) =>
      new Promise<void>((resolve, reject) => {
        const following = follow(resolve).catch((error: unknown) => {
          if (!signal.aborted) this.logger.error('events.handler_failed', { operation: 'follow', error });
          reject(error);
        });
        this.#following = Promise.all([this.#following, following]);
      });
    await Promise.all([
      caughtUp(async (onCaughtUp) => {
        for await (const batch of this.history.tail({ afterSequence, signal, onCaughtUp }))
          await this.#take(batch);
      }),
      caughtUp(async (onCaughtUp) => {
        for await (const { ref, project, time, since } of this.uploads.watch({ signal, onCaughtUp }))
          this.artifacts.addUpload(ref, time.getTime(), project, since.getTime());
      }),
    ]);
    this.#keeper.every(this.snapshotIntervalMs);
  }

  /** The run as it stands: from memory, or from its log when it has ended a while ago. */
  async run(name: string): Promise<RunRecord | undefined> {
    const known = this.runs.record(name);
    if (known) return known;
    // Who asks for the pages of a large run asks several times at once: its log is read once.
    const loading = this.#loading.get(name) ?? this.history.load(name);
    this.#loading.set(name, loading);
    try {
      const record = await loading;
      if (record) this.runs.keep(record);
      return record;
    } finally {
      this.#loading.delete(name);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    await this.#keeper.stop();
  }

  /** Takes in a snapshot. @returns the sequence up to which the log need not be replayed */
  async #restore(): Promise<bigint> {
    const startMs = performance.now();
    try {
      const snapshot = await this.snapshots.load();
      if (snapshot === undefined) return 0n;
      await this.#restoreFrom(snapshot);
      const durationMs = Math.round(performance.now() - startMs);
      this.logger.info('snapshot.loaded', { sequence: Number(snapshot.upTo), durationMs });
      return snapshot.upTo;
    } catch (error) {
      if (this.#stop.signal.aborted) throw error;
      this.logger.warn('snapshot.failed', { operation: 'read', error });
      this.runs = new RunIndex();
      this.artifacts = new ArtifactIndex();
      this.lineage = new LineageIndex();
      this.#keeper = this.#newKeeper();
      return 0n;
    }
  }

  async #restoreFrom(snapshot: Snapshot): Promise<void> {
    const open = new Set(snapshot.openRuns);
    for await (const entries of this.snapshots.entries(snapshot)) {
      for (const entry of entries as readonly HistoryEntry[]) {
        if (open.has(entry.run.name)) continue;
        this.runs.restore(entry.run, BigInt(entry.sequence));
        this.artifacts.restore(entry.run.name, entry.artifacts);
        this.lineage.restore(entry.run.name, entry.lineage);
      }
    }
    const names = open.values();
    const readers = Array.from({ length: READERS }, async () => {
      for (const name of names)
        for await (const batch of this.history.batches(name, { untilRevision: snapshot.upTo }))
          this.#apply(batch, undefined);
    });
    await Promise.all(readers);
    this.#keeper.begin(snapshot);
  }

  async #take(batch: RunBatch): Promise<void> {
    const standing = this.runs.standing(batch.run);
    const isCold = standing && standing.revision < batch.revision && !this.runs.record(batch.run);
    this.#apply(batch, isCold ? await this.#before(batch.run, standing.revision) : undefined);
    const isBroken = this.runs.standing(batch.run)?.quarantine !== undefined;
    if (isBroken && standing?.quarantine === undefined)
      await this.#recheck(batch, standing?.revision ?? 0n).catch((error: unknown) => {
        this.logger.warn('events.handler_failed', { operation: 'recheck', runId: batch.run, error });
      });
    await this.#keeper.observe(batch.run, batch.revision);
  }

  /** A run that had ended and is told of again. */
  #before(run: string, untilRevision: bigint): Promise<RunRecord | undefined> {
    return this.history.load(run, { untilRevision });
  }

  /**
   * Reads the log of a run that came into quarantine: what this replica was sent may have a gap that the log does
   * not have.
   * @param batch  the one that it could not follow
   * @param known  the revision up to which it could
   */
  async #recheck({ run, revision: untilRevision }: RunBatch, known: bigint): Promise<void> {
    const missed: (readonly [RunBatch, RunRecord])[] = [];
    let record: RunRecord | undefined;
    for await (const batch of this.history.batches(run, { untilRevision })) {
      record = followRun(record, batch);
      if (record.quarantine) return;
      if (batch.revision > known) missed.push([batch, record]);
    }
    if (record === undefined || record.revision < untilRevision) return;
    this.runs.recover(record);
    for (const [batch, after] of missed) {
      this.artifacts.apply(batch, after);
      this.lineage.apply(batch, after);
    }
    this.logger.info('run.recovered', { runId: run });
  }

  #apply(batch: RunBatch, before: RunRecord | undefined): void {
    try {
      const record = this.runs.apply(batch, before);
      if (!record) return;
      this.artifacts.apply(batch, record);
      this.lineage.apply(batch, record);
    } catch (error) {
      this.logger.error('events.handler_failed', {
        runId: batch.run,
        revision: String(batch.revision),
        error,
      });
    }
  }

  #newKeeper(): HistoryKeeper {
    return new HistoryKeeper(this.snapshots, this.runs, this.artifacts, this.lineage, this.logger);
  }
}
