import type { KeptSchedule, ScheduleChange, ScheduleEntry } from '@agentforge/events';

/** Where schedules are kept; every change is compared and set. */
export abstract class ScheduleStorePort {
  abstract get(name: string): Promise<ScheduleEntry | undefined>;
  /** Undefined when there is one of this name. */
  abstract create(kept: KeptSchedule): Promise<ScheduleEntry | undefined>;
  /** Undefined when it is at another revision. */
  abstract update(kept: KeptSchedule, revision: number): Promise<ScheduleEntry | undefined>;
  abstract remove(name: string): Promise<void>;
  /** First every schedule, then every change, without end. */
  abstract watch(options: {
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<ScheduleChange>;
}
