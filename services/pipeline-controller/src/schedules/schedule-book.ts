import type { ScheduleChange, ScheduleEntry } from '@agentforge/events';
import type { ScheduleStorePort } from '../ports/schedule-store.port.js';

/** Every schedule as it was last heard of, in memory. */
export class ScheduleBook {
  readonly #entries = new Map<string, ScheduleEntry>();
  readonly #stop = new AbortController();
  #following: Promise<void> = Promise.resolve();

  constructor(private readonly store: ScheduleStorePort) {}

  /** Resolves when everything that was there is taken in. */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#following = this.#follow(resolve).catch(reject);
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  /** Takes in what this replica wrote, so that it sees it at once. */
  note(entry: ScheduleEntry): void {
    this.#apply({ name: entry.schedule.name, revision: entry.revision, entry });
  }

  forget(name: string): void {
    this.#entries.delete(name);
  }

  get(name: string): ScheduleEntry | undefined {
    return this.#entries.get(name);
  }

  /** Those of a project, "-" for all, by name. */
  list(project: string): ScheduleEntry[] {
    const prefix = project === '-' ? 'projects/' : `projects/${project}/`;
    return [...this.#entries.values()]
      .filter(({ schedule }) => schedule.name.startsWith(prefix))
      .sort((a, b) => (a.schedule.name < b.schedule.name ? -1 : 1));
  }

  async #follow(onCaughtUp: () => void): Promise<void> {
    for await (const change of this.store.watch({ signal: this.#stop.signal, onCaughtUp }))
      this.#apply(change);
  }

  #apply({ name, revision, entry }: ScheduleChange): void {
    const known = this.#entries.get(name);
    if (known && known.revision > revision) return;
    if (entry) this.#entries.set(name, entry);
    else this.#entries.delete(name);
  }
}
