import type { PhaseDescriptor } from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { PhaseCatalog } from '../ports/phase-catalog.port.js';

/** The phase registry, kept in memory by watching its bucket. */
export class NatsPhaseCatalog extends PhaseCatalog {
  readonly #phases = new Map<string, PhaseDescriptor>();

  private constructor() {
    super();
  }

  /** Resolves once everything that is registered is known. */
  static async watch(events: Events, logger: Logger, signal: AbortSignal): Promise<NatsPhaseCatalog> {
    const catalog = new NatsPhaseCatalog();
    await new Promise<void>((resolve, reject) => {
      catalog.#follow(events, logger, signal, resolve).catch((error: unknown) => {
        if (!signal.aborted) logger.error('events.handler_failed', { operation: 'watch phases', error });
        reject(error);
      });
    });
    return catalog;
  }

  get(name: string): PhaseDescriptor | undefined {
    return this.#phases.get(name);
  }

  list(): readonly PhaseDescriptor[] {
    return [...this.#phases.values()];
  }

  async #follow(events: Events, logger: Logger, signal: AbortSignal, onCaughtUp: () => void): Promise<void> {
    for await (const { name, descriptor } of events.phases.watch({ signal, onCaughtUp })) {
      if (descriptor === undefined) this.#phases.delete(name);
      else {
        this.#phases.set(name, descriptor);
        // Whoever scales workers by what waits in a queue needs the queue before the first worker.
        events.tasks
          .ensureQueue(name)
          .catch((error: unknown) =>
            logger.warn('events.handler_failed', { operation: 'ensure queue', phase: name, error }),
          );
      }
    }
  }
}
