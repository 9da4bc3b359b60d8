import type { RunBatch, Snapshot } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { Snapshots } from '../ports/snapshots.port.js';

/** Version of the note: one of another version is not read. */
export const OPEN_RUNS_VERSION = 1;

/**
 * The runs that have not ended as far as the log was followed, written down from time to time: the next start reads
 * the logs of these runs only, and what came after. Any replica may write it.
 */
export class OpenRuns {
  readonly #open = new Set<string>();
  #upTo = 0n;
  #base: Snapshot | undefined;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(
    private readonly snapshots: Snapshots,
    private readonly logger: Logger,
  ) {}

  /** When the newest snapshot was written. */
  get savedAt(): Date | undefined {
    return this.#base?.time;
  }

  /** The newest snapshot, or undefined when the whole log must be followed. */
  async restore(): Promise<Snapshot | undefined> {
    try {
      const base = await this.snapshots.load();
      this.#base = base;
      this.#upTo = base?.upTo ?? 0n;
      for (const run of base?.openRuns ?? []) this.#open.add(run);
      if (base) this.logger.info('snapshot.loaded', { sequence: Number(base.upTo), count: this.#open.size });
      return base;
    } catch (error) {
      this.logger.warn('snapshot.failed', { operation: 'read', error });
      return undefined;
    }
  }

  /** Takes in the next batch of the log. */
  observe({ run, revision, events, problem }: RunBatch): void {
    this.#upTo = revision;
    if (problem) this.#open.add(run);
    for (const { payload } of events) {
      if (payload.case === 'runCreated' || payload.case === 'runRetried') this.#open.add(run);
      else if (
        payload.case === 'runCompleted' ||
        payload.case === 'runFailed' ||
        payload.case === 'runCancelled'
      )
        this.#open.delete(run);
    }
  }

  /** Writes from time to time. Replicas do it at different times. */
  every(intervalMs: number): void {
    const next = () => {
      this.#timer = setTimeout(() => void this.save().finally(next), intervalMs * (0.5 + Math.random()));
      this.#timer.unref();
    };
    next();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.save();
  }

  /** Writes what is open. Never throws: without a snapshot a start takes longer, no more. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  async #save(): Promise<void> {
    if (this.#upTo <= (this.#base?.upTo ?? 0n)) return;
    const head = { upTo: this.#upTo, openRuns: [...this.#open] };
    try {
      this.#base = await this.snapshots.save(head, [], this.#base);
      this.logger.info('snapshot.written', { sequence: Number(head.upTo), count: head.openRuns.length });
    } catch (error) {
      this.logger.debug('snapshot.failed', { operation: 'write', error });
      // Another replica was first. What it wrote is what the next one builds on, as long as that is not further.
      this.#base = await this.snapshots.load().catch(() => this.#base);
    }
  }
}
