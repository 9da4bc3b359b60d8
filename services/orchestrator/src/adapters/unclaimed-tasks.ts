import type { Events } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { PhaseCatalog } from '../ports/phase-catalog.port.js';

/** Gives up tasks of phases that nobody serves, so that their steps end and their messages do not lie for ever. */
export class UnclaimedTasks {
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();
  #isLooking = false;

  /** @param ageMs  age at which such a task is given up; it is looked for ten times as often */
  constructor(
    private readonly events: Events,
    private readonly phases: PhaseCatalog,
    private readonly logger: Logger,
    private readonly ageMs: number,
  ) {
    this.#timer = setInterval(() => this.#look(), Math.max(100, Math.min(ageMs / 10, 30_000)));
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  #look(): void {
    if (this.#isLooking || !this.events.isConnected()) return;
    this.#isLooking = true;
    this.#looking = this.events.tasks
      .giveUpUnclaimed((phase) => this.phases.get(phase) !== undefined, this.ageMs)
      .then(
        () => undefined,
        (error: unknown) =>
          this.logger.warn('events.handler_failed', { operation: 'unclaimed tasks', error }),
      )
      .finally(() => {
        this.#isLooking = false;
      });
  }
}
