import { parseRunName, StepState } from '@agentforge/contracts';
import { countIn, isTerminalRun, type RunRecord } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';

/** What the runs of a project use, as far as the log tells. */
export interface ProjectUse {
  /** Runs that have not ended and of which an attempt was scheduled since they were created or last retried. */
  readonly running: ReadonlySet<string>;
  /** Runs that wait for their first attempt since then. */
  readonly queued: ReadonlySet<string>;
  /** Steps in progress. */
  readonly steps: number;
}

interface Counted {
  readonly running: Set<string>;
  readonly queued: Set<string>;
  steps: number;
}

const NOTHING: ProjectUse = { running: new Set(), queued: new Set(), steps: 0 };

/**
 * Counts the runs that have not ended, and their steps in progress, by project. Every replica folds the log of all runs,
 * so each counts those of all replicas. O(1) for each batch, O(steps) for the first of a run that was scheduled before.
 */
export class RunCensus {
  readonly #projects = new Map<string, Counted>();
  readonly #steps = new Map<string, number>();

  /** Runs that have not ended. */
  get active(): number {
    return this.#steps.size;
  }

  /** Takes in a run as it stands now; one in quarantine does nothing any more. */
  observe(run: RunRecord): void {
    if (isTerminalRun(run.state) || run.quarantine) {
      this.forget(run.name);
      return;
    }
    const project = this.#projectOf(run.name);
    const steps = countIn(run, StepState.RUNNING);
    const known = this.#steps.get(run.name);
    project.steps += steps - (known ?? 0);
    this.#steps.set(run.name, steps);
    if (project.running.has(run.name)) return;
    // A run that ended was forgotten: after a retry it is a new one here, and waits for its place as such.
    const isRunning = steps > 0 || (known === undefined && wasScheduledSince(run));
    if (isRunning) project.queued.delete(run.name);
    (isRunning ? project.running : project.queued).add(run.name);
  }

  /** A run that has ended. */
  forget(run: string): void {
    const name = projectIdOf(run);
    const project = this.#projects.get(name);
    if (project === undefined) return;
    project.steps -= this.#steps.get(run) ?? 0;
    this.#steps.delete(run);
    project.running.delete(run);
    project.queued.delete(run);
    if (project.running.size + project.queued.size === 0) this.#projects.delete(name);
  }

  /** What the runs of a project use. */
  usageOf(project: string): ProjectUse {
    return this.#projects.get(project) ?? NOTHING;
  }

  #projectOf(run: string): Counted {
    const name = projectIdOf(run);
    let project = this.#projects.get(name);
    if (project === undefined) {
      project = { running: new Set(), queued: new Set(), steps: 0 };
      this.#projects.set(name, project);
    }
    return project;
  }
}

/** The project of a run, from its name. */
export const projectIdOf = (run: string): string => parseRunName(run)?.project ?? '';

/** Whether an attempt was scheduled since the run was created or last retried; the state of a run does not tell. */
function wasScheduledSince({ steps, wasScheduled, deadlineFrom }: RunRecord): boolean {
  if (!wasScheduled) return false;
  const sinceMs = timestampMs(deadlineFrom);
  return steps.toArray().some(({ attempts }) => {
    const time = attempts.at(-1)?.scheduleTime;
    return time !== undefined && timestampMs(time) >= sinceMs;
  });
}
