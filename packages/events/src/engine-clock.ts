import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerTime } from './server-clock.js';

/** Time between two readings of the server's clock: quartz drifts by less than 3 ms in it. */
const READ_EVERY_MS = 30_000;
/** Most that one later reading moves the clock, in ms: a server whose clock jumps does not time out every attempt. */
export const MAX_STEP_MS = 500;

/**
 * The time of the engine: the clock of the NATS server, carried on by the monotonic clock of this process. Replicas
 * compare times that others wrote, so they have to share one clock; that of the machine may be wrong, or be set while
 * the engine runs. Never goes backwards. Before the first reading it is the machine's.
 */
export class EngineClock {
  #offsetMs: number | undefined;
  #lastMs = 0;

  constructor(
    private readonly monotonicMs: () => number = () => performance.now(),
    private readonly wallMs: () => number = () => Date.now(),
  ) {}

  /** Milliseconds since 1970. */
  readonly nowMs = (): number => {
    const nowMs = this.#offsetMs === undefined ? this.wallMs() : this.monotonicMs() + this.#offsetMs;
    this.#lastMs = Math.max(this.#lastMs, Math.round(nowMs));
    return this.#lastMs;
  };

  /** How far the machine's clock is ahead of the engine's, in ms. */
  get skewMs(): number {
    return this.#offsetMs === undefined ? 0 : this.wallMs() - this.monotonicMs() - this.#offsetMs;
  }

  /** Takes a reading: the first one sets the clock, later ones move it by what they know for sure, a little at a time. */
  take({ serverMs, atMs, uncertaintyMs }: ServerTime): void {
    const offsetMs = serverMs - atMs;
    if (this.#offsetMs === undefined) {
      this.#offsetMs = offsetMs;
      this.#lastMs = 0;
      return;
    }
    const differenceMs = offsetMs - this.#offsetMs;
    const certainMs = Math.sign(differenceMs) * Math.max(0, Math.abs(differenceMs) - uncertaintyMs);
    this.#offsetMs += Math.min(Math.max(certainMs, -MAX_STEP_MS), MAX_STEP_MS);
  }

  /**
   * Reads the server's clock now and from time to time; resolves after the first reading. While the server does not answer
   * the clock goes on as it is.
   * @param onFailure  told of readings that failed
   */
  async follow(
    read: () => Promise<ServerTime>,
    signal: AbortSignal,
    onFailure: (error: unknown) => void,
  ): Promise<void> {
    const once = async () => {
      try {
        this.take(await read());
      } catch (error) {
        onFailure(error);
      }
    };
    const go = async () => {
      while (!signal.aborted) {
        await sleep(READ_EVERY_MS, undefined, { ref: false, signal }).catch(() => undefined);
        if (!signal.aborted) await once();
      }
    };
    await once();
    void go();
  }
}
