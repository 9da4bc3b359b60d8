import { setTimeout as sleep } from 'node:timers/promises';
import type { Events, Membership } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { Affinity } from '../engine/affinity.js';
import { EngineClock } from '../engine/engine-clock.js';

/** Time that the others get to answer a newcomer; one round trip is enough. */
const HELLO_MS = 100;

/** Time between two readings of the server's clock: quartz drifts by less than 3 ms in it. */
const READ_CLOCK_MS = 30_000;

/** Skew of the machine's clock that is worth a line. */
const NOTABLE_SKEW_MS = 1_000;

/** What makes this process one of several: the clock they share, and who looks after what. */
export class NatsReplicaGroup {
  readonly clock = new EngineClock();
  readonly #timer: NodeJS.Timeout;
  readonly #membership: Membership;

  private constructor(
    readonly affinity: Affinity,
    private readonly events: Events,
    private readonly logger: Logger,
  ) {
    this.#membership = events.replicas.join(affinity.self, ({ id, kind }) => {
      if (kind === 'here') affinity.hear(id);
      else if (id !== affinity.self) affinity.leave(id);
    });
    this.#timer = setInterval(() => void this.#readClock(), READ_CLOCK_MS);
    this.#timer.unref();
  }

  /** Resolves when the clock is set and the others had time to answer. */
  static async join(self: string, events: Events, logger: Logger): Promise<NatsReplicaGroup> {
    const group = new NatsReplicaGroup(new Affinity(self), events, logger);
    await Promise.all([group.#readClock(), sleep(HELLO_MS)]);
    const skewMs = Math.round(group.clock.skewMs);
    if (Math.abs(skewMs) > NOTABLE_SKEW_MS) logger.warn('replica.skewed', { replica: self, skewMs });
    return group;
  }

  /** Lets the others take over at once. */
  async leave(): Promise<void> {
    clearInterval(this.#timer);
    await this.#membership.leave();
  }

  /** Without an answer the clock goes on as it is. */
  async #readClock(): Promise<void> {
    try {
      this.clock.take(await this.events.serverTime());
    } catch (error) {
      this.logger.debug('events.handler_failed', { operation: 'read clock', error });
    }
  }
}
