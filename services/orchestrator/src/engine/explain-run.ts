import { AttemptState, StepState, WaitKind } from '@agentforge/contracts';
import { openAttempt, type RunRecord, type StepRecord, stepOf, stepsIn } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Workers } from '../ports/workers.port.js';
import { waitsOf } from './admission/explain.js';
import type { Wait } from './admission/wait.js';
import type { DecideContext } from './inputs.js';
import type { RunActor } from './run-actor.js';

/** Why one step does not run. */
export interface StepWaits {
  readonly stepId: string;
  readonly waits: readonly Wait[];
}

/** Steps of a run that are explained at once. */
const MAX_STEPS = 200;

/** Says why steps wait: from what the engine knows, and for tasks that are queued from the queue. */
export class Explainer {
  constructor(
    private readonly actors: ReadonlyMap<string, RunActor>,
    private readonly workers: Workers,
  ) {}

  /** Every reason why a step does not run; undefined when the run has no such step. */
  async step(actor: RunActor, stepId: string): Promise<readonly Wait[] | undefined> {
    const run = actor.state;
    const step = run && stepOf(run, stepId);
    return step && this.#waitsOf(actor.outlook(run), run, step, new Map());
  }

  /** The steps of a run that wait for more than other steps. */
  async run(actor: RunActor): Promise<readonly StepWaits[]> {
    const run = actor.state;
    if (run === undefined) return [];
    const steps = [StepState.READY, StepState.RUNNING].flatMap((state) => [...stepsIn(run, state)]);
    steps.sort((a, b) => a.position - b.position);
    const workers = new Map<string, Promise<boolean>>();
    const context = actor.outlook(run);
    const found: StepWaits[] = [];
    for (const step of steps) {
      if (found.length === MAX_STEPS) break;
      const waits = await this.#waitsOf(context, run, step, workers);
      if (waits.length > 0) found.push({ stepId: step.spec.id, waits });
    }
    return found;
  }

  async #waitsOf(
    context: DecideContext,
    run: RunRecord,
    step: StepRecord,
    workers: Map<string, Promise<boolean>>,
  ): Promise<readonly Wait[]> {
    const attempt = openAttempt(step);
    if (attempt?.state !== AttemptState.QUEUED) return waitsOf(run, step, context);
    const { phase } = step.spec;
    const has = workers.get(phase) ?? this.workers.hasWorkers(phase);
    workers.set(phase, has);
    if (!(await has)) return [{ kind: WaitKind.QUEUED_NO_WORKER, detail: `"${phase}"` }];
    return [{ kind: WaitKind.QUEUED_BEHIND, position: 1 + this.#queuedBefore(step, phase) }];
  }

  /** Tasks of the phase, over all runs, that were queued before that of the step. */
  #queuedBefore(step: StepRecord, phase: string): number {
    const queuedMs = scheduleMs(step);
    let count = 0;
    for (const { state } of this.actors.values()) {
      if (state === undefined) continue;
      for (const other of stepsIn(state, StepState.RUNNING)) {
        if (other.spec.phase !== phase || openAttempt(other)?.state !== AttemptState.QUEUED) continue;
        if (scheduleMs(other) < queuedMs) count++;
      }
    }
    return count;
  }
}

function scheduleMs(step: StepRecord): number {
  const time = openAttempt(step)?.scheduleTime;
  return time ? timestampMs(time) : 0;
}
