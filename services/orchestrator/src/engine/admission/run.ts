import { RunState, StepState, WaitKind } from '@agentforge/contracts';
import { countIn, type RunRecord, type StepRecord, satisfiesDependents, stepOf } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Wait } from './wait.js';

/** Dependencies that are named; more say no more. */
export const MAX_NAMED = 20;

/** Whether the run lets steps start, and whether this one has all that it depends on. */
export function runGate(run: RunRecord, step: StepRecord, isWhole: boolean): { wait: Wait } | undefined {
  if (run.state === RunState.PAUSED) return { wait: { kind: WaitKind.PAUSED } };
  if (!isWhole) return { wait: { kind: WaitKind.GRAPH_INCOMPLETE } };
  return dependencyGate(run, step);
}

/** Whether the step has all that it depends on. Looks at every dependency of a step that has not. */
export function dependencyGate(run: RunRecord, step: StepRecord): { wait: Wait } | undefined {
  if (step.state !== StepState.PENDING) return undefined;
  const unmet = step.dependencies.filter(
    (id) => !satisfiesDependents(stepOf(run, id)?.state ?? StepState.PENDING),
  );
  return { wait: { kind: WaitKind.DEPENDENCIES, stepIds: unmet.slice(0, MAX_NAMED) } };
}

/** The dependencies with their states, for people: `"a" (RUNNING), "b" (PENDING) and 3 more`. */
export function describeDependencies(run: RunRecord, { kind, stepIds = [] }: Wait): string | undefined {
  if (kind !== WaitKind.DEPENDENCIES) return undefined;
  const shown = stepIds
    .slice(0, 5)
    .map((id) => `"${id}" (${StepState[stepOf(run, id)?.state ?? StepState.PENDING]})`);
  const more = stepIds.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Whether the time of the next attempt has come. */
export function timeGate(step: StepRecord, nowMs: number): { wait: Wait } | undefined {
  const untilMs = step.nextAttemptTime ? timestampMs(step.nextAttemptTime) : 0;
  return untilMs > nowMs ? { wait: { kind: WaitKind.RETRY_BACKOFF, untilMs } } : undefined;
}

/** Whether the run may have another step in progress. */
export function slotGate(
  run: RunRecord,
  defaultParallelSteps: number,
  checking: number,
): { wait: Wait } | undefined {
  return freeSlots(run, defaultParallelSteps, checking) > 0
    ? undefined
    : { wait: { kind: WaitKind.RUN_LIMIT } };
}

/**
 * How many more steps of the run may be in progress.
 * @param checking  steps about which somebody was asked; they hold slots too
 */
export function freeSlots(run: RunRecord, defaultParallelSteps: number, checking: number): number {
  return (run.maxParallelSteps || defaultParallelSteps) - countIn(run, StepState.RUNNING) - checking;
}
