import type { StepReport, StepTask, TaskDirective, TaskHeartbeat } from '@agentforge/contracts';

/** The workers of all phases, as the engine talks with them. */
export abstract class Workers {
  /** Puts a task into the queue of its phase. An attempt that is there is not put again. */
  abstract dispatch(task: StepTask): Promise<void>;
  /** Tells the worker of an attempt something at once, if there is one and it listens. */
  abstract direct(directive: TaskDirective): void;
  /** Forgets what workers remember of an attempt that has ended. */
  abstract forget(attemptId: string): Promise<void>;
  /** Whether any worker of a phase waits for a task or holds one. */
  abstract hasWorkers(phase: string): Promise<boolean>;
  /**
   * Calls for each report, in order of arrival, without waiting for the handler of the one before. A report whose
   * handler fails is delivered again.
   */
  abstract onReport(handler: (report: StepReport) => Promise<unknown>): Promise<void>;
  /**
   * Calls for heartbeats.
   * @param answer   for those that this replica is asked; the answer goes back to the worker
   * @param observe  for all, also those that another replica answers
   */
  abstract onHeartbeat(
    answer: (heartbeat: TaskHeartbeat) => Promise<TaskDirective>,
    observe: (heartbeat: TaskHeartbeat) => void,
  ): void;
  /** Takes no more reports and heartbeats; resolves when those in hand are done. */
  abstract stop(): Promise<void>;
}
