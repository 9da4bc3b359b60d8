import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClock, type Events, type Membership } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { Affinity } from '../engine/affinity.js';

/** Time that the others get to answer a newcomer; one round trip is enough. */
const HELLO_MS = 100;

/** Skew of the machine's clock that is worth a line. */
const NOTABLE_SKEW_MS = 1_000;

/** What makes this process one of several: the clock they share, and who looks after what. */
export class NatsReplicaGroup {
  readonly clock = new EngineClock();
  readonly #end = new AbortController();
  readonly #membership: Membership;

  private constructor(
    readonly affinity: Affinity,
    events: Events,
  ) {
    this.#membership = events.replicas.join(affinity.self, ({ id, kind }) => {
      if (kind === 'here') affinity.hear(id);
      else if (id !== affinity.self) affinity.leave(id);
    });
  }

  /** Resolves when the clock is set and the others had time to answer. */
  static async join(self: string, events: Events, logger: Logger): Promise<NatsReplicaGroup> {
    const group = new NatsReplicaGroup(new Affinity(self), events);
    const set = group.clock.follow(
      () => events.serverTime(),
      group.#end.signal,
      (error) => logger.debug('events.handler_failed', { operation: 'read clock', error }),
    );
    await Promise.all([set, sleep(HELLO_MS)]);
    const skewMs = Math.round(group.clock.skewMs);
    if (Math.abs(skewMs) > NOTABLE_SKEW_MS) logger.warn('replica.skewed', { replica: self, skewMs });
    return group;
  }

  /** Lets the others take over at once. */
  async leave(): Promise<void> {
    this.#end.abort();
    await this.#membership.leave();
  }
}
