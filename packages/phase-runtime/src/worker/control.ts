/** Why a computation has to stop. */
export const STOP = {
  /** Store a checkpoint first; another worker goes on. */
  release: 'release',
  /** The run was cancelled. */
  cancel: 'cancel',
  /** The attempt is no longer current; nothing may be reported. */
  abandon: 'abandon',
} as const;

/** One of {@link STOP}. */
export type StopReason = (typeof STOP)[keyof typeof STOP];

/** Order of urgency: a stronger reason replaces a weaker one, never the other way round. */
const ORDER: readonly StopReason[] = [STOP.release, STOP.cancel, STOP.abandon];

/**
 * One word of shared memory through which the host stops a computation: a worker that is busy in a native
 * call receives no messages, but it can read this between two calls.
 */
export class StopFlag {
  private readonly word: Int32Array<SharedArrayBuffer>;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.word = new Int32Array(buffer);
  }

  /** Asks to stop. A weaker reason than the present one is ignored. */
  raise(reason: StopReason): void {
    const wanted = ORDER.indexOf(reason) + 1;
    let present = Atomics.load(this.word, 0);
    while (present < wanted) {
      const found = Atomics.compareExchange(this.word, 0, present, wanted);
      if (found === present) return;
      present = found;
    }
  }

  /** The reason to stop; undefined while the computation may go on. */
  get reason(): StopReason | undefined {
    return ORDER[Atomics.load(this.word, 0) - 1];
  }
}
