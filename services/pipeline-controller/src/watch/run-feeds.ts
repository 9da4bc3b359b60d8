import type { RunBatch } from '@agentforge/events';
import type { RunHistory } from '../ports/run-history.port.js';

/** Most bytes of the log that wait for one watcher. What it has not taken by then it reads from the log itself. */
export const MAX_WAITING_BYTES = 2 ** 20;
/** What a batch is taken to have that does not say. */
const TYPICAL_BATCH_BYTES = 1_024;

/**
 * Batches of runs for those who watch them: the log of a run is read once, however many watch. Nobody is waited for;
 * who takes too little loses its place and is told so.
 */
export class RunFeeds {
  readonly #feeds = new Map<string, Feed>();

  constructor(private readonly history: RunHistory) {}

  /** Runs that are watched now. */
  get size(): number {
    return this.#feeds.size;
  }

  /**
   * Follows a run.
   * @param afterRevision  where reading begins when nobody follows the run yet
   * @param onChange       called whenever something happened
   */
  follow(run: string, afterRevision: bigint, onChange: () => void): Follower {
    let feed = this.#feeds.get(run);
    if (feed === undefined) {
      const fresh = new Feed(this.history, run, afterRevision, () => {
        if (this.#feeds.get(run) === fresh) this.#feeds.delete(run);
      });
      feed = fresh;
      this.#feeds.set(run, feed);
    }
    return feed.join(onChange);
  }
}

/** One reader of a run's log and who follows it. */
class Feed {
  readonly #followers = new Set<Follower>();
  readonly #end = new AbortController();
  #position: bigint;

  constructor(
    private readonly history: RunHistory,
    private readonly run: string,
    afterRevision: bigint,
    private readonly onEnd: () => void,
  ) {
    this.#position = afterRevision;
    void this.#read();
  }

  /** Revision of the last batch that was handed out. */
  get position(): bigint {
    return this.#position;
  }

  join(onChange: () => void): Follower {
    const follower = new Follower(this, onChange);
    this.#followers.add(follower);
    return follower;
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
    if (this.#followers.size > 0) return;
    this.onEnd();
    this.#end.abort();
  }

  async #read(): Promise<void> {
    let failure: unknown;
    try {
      const { signal } = this.#end;
      for await (const batch of this.history.tailRun(this.run, { afterRevision: this.#position, signal })) {
        this.#position = batch.revision;
        for (const follower of this.#followers) follower.offer(batch);
      }
    } catch (error) {
      failure = error;
    }
    this.onEnd();
    for (const follower of this.#followers) follower.close(failure);
  }
}

/** The place of one watcher in a feed. */
export class Follower {
  readonly #waiting: RunBatch[] = [];
  #bytes = 0;
  #after: bigint;
  #isLost = false;
  #end: { readonly failure: unknown } | undefined;

  constructor(
    private readonly feed: Feed,
    private readonly onChange: () => void,
  ) {
    this.#after = feed.position;
  }

  /** Revision after which batches come without a gap; what is before is in the log. */
  get after(): bigint {
    return this.#after;
  }

  /** Whether batches were dropped because too many waited. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Bytes that wait. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** How the feed ended, when it did. */
  get end(): { readonly failure: unknown } | undefined {
    return this.#end;
  }

  /** The next batch, if one is there. */
  take(): RunBatch | undefined {
    const batch = this.#waiting.shift();
    if (batch) this.#bytes -= bytesOf(batch);
    return batch;
  }

  /** Takes a place again, at the newest batch. */
  rejoin(): void {
    this.#isLost = false;
    this.#after = this.feed.position;
  }

  leave(): void {
    this.#drop();
    this.feed.leave(this);
  }

  offer(batch: RunBatch): void {
    if (this.#isLost) return;
    this.#waiting.push(batch);
    this.#bytes += bytesOf(batch);
    if (this.#bytes > MAX_WAITING_BYTES && this.#waiting.length > 1) {
      this.#drop();
      this.#isLost = true;
    }
    this.onChange();
  }

  close(failure: unknown): void {
    this.#end = { failure };
    this.onChange();
  }

  #drop(): void {
    this.#waiting.length = 0;
    this.#bytes = 0;
  }
}

const bytesOf = ({ sizeBytes = TYPICAL_BATCH_BYTES }: RunBatch): number => sizeBytes;
