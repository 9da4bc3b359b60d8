import type { Checkpoint, FileSet, PhaseContext, StoredBlob } from '../worker/index.js';

/** Most runs of a work that is evicted at every safe point: one that never ends is an error of its own. */
const MAX_RUNS = 100;

/** Work that has to leave. */
class Evicted extends Error {}

/** A machine whose work has to leave at every safe point, or at none, and goes on from there. */
export class EvictingMachine<Config> {
  /** Runs that were begun: one more than safe points that were reached. */
  runs = 0;
  #saved: FileSet | null = null;

  /** @param given  what the work finds in its context, besides safe points and checkpoints in memory */
  constructor(
    private readonly isHostile: boolean,
    private readonly given: Partial<PhaseContext<Config>>,
  ) {}

  /** Runs the work until it ends. */
  async finish<Result>(work: (context: PhaseContext<Config>) => Promise<Result>): Promise<Result> {
    for (;;) {
      this.runs += 1;
      if (this.runs > MAX_RUNS) throw new Error('the work never ends');
      try {
        return await work(this.#context());
      } catch (error) {
        if (!(error instanceof Evicted)) throw error;
      }
    }
  }

  #context(): PhaseContext<Config> {
    const context: Partial<PhaseContext<Config>> = {
      progress: () => {},
      throwIfAborted: () => {},
      store: async (bytes) => ({ digest: 'd', sizeBytes: 0n, bytes }) as StoredBlob,
      restore: async (decode) => (this.#saved ? decode(checkpointOf(this.#saved)) : null),
      isSafePointDue: () => this.isHostile,
      safePoint: async (snapshot) => {
        this.#saved = await snapshot();
        throw new Evicted();
      },
      ...this.given,
    };
    return context as PhaseContext<Config>;
  }
}

function checkpointOf(files: FileSet): Checkpoint {
  const bytesOf = (file: unknown) =>
    file instanceof Uint8Array ? file : (file as { readonly bytes: Uint8Array }).bytes;
  const checkpoint: Partial<Checkpoint> = {
    files: files as Checkpoint['files'],
    read: async (path) => bytesOf(files.get(path)),
  };
  return checkpoint as Checkpoint;
}
