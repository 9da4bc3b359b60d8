import { AttemptState, FailureClass, RunState, StepState } from '@agentforge/contracts';
import {
  attemptIdOf,
  countIn,
  isTerminalRun,
  isWhole,
  openAttempt,
  type StepRecord,
  stepsIn,
} from '@agentforge/events';
import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { type Admission, admission, grantedLease } from './admission/admission.js';
import { hasSlot, heldSlots } from './admission/explain.js';
import { freeSlots } from './admission/run.js';
import { countTerminal, type FailureInit, type Transition } from './transition.js';

/** Time in which all steps of a run must be there: far more than it takes to write them, or to ask again. */
const CREATION_TIME_MS = 60_000;

/**
 * Draws the conclusions of what was decided: steps become ready, are blocked or stopped, attempts are scheduled into
 * free slots, the run ends. Looks only at steps next to a change, unless it is to be thorough; a batch that is full
 * is left with `hasMore` set, and the next tick goes on.
 */
export function settle(transition: Transition, isThorough: boolean): void {
  if (isTerminalRun(transition.state.state)) return;
  const isAbandoned = isCreationAbandoned(transition);
  const isOverdue = isDeadlinePassed(transition);
  if (transition.state.state === RunState.CANCELLING || isOverdue || isAbandoned)
    stopSteps(transition, isOverdue);
  else if (isWhole(transition.state)) {
    if (isThorough) releasePending(transition);
    let followed = followChanges(transition, 0);
    while (schedule(transition)) followed = followChanges(transition, followed);
  }
  if (!transition.hasMore) finish(transition, isOverdue);
}

/** Stops every step that no worker holds; past the deadline also those that a worker holds. */
function stopSteps(transition: Transition, isOverdue: boolean): void {
  for (const state of [StepState.PENDING, StepState.READY, StepState.VALIDATING, StepState.RUNNING]) {
    for (const step of [...stepsIn(transition.state, state)]) {
      if (!isOverdue && openAttempt(step)?.state === AttemptState.STARTED) continue;
      if (isFull(transition)) return;
      transition.emit({ case: 'stepCancelled', value: { stepId: step.spec.id } });
    }
  }
}

/** Looks at every step that waits for dependencies. */
function releasePending(transition: Transition): void {
  for (const step of [...stepsIn(transition.state, StepState.PENDING)]) {
    if (isFull(transition)) return;
    releaseStep(transition, step.spec.id);
  }
}

/**
 * Looks at the dependents of every step that ended in this transition, and at theirs in turn.
 * @param from  the first event that was not looked at
 * @returns the number of events that were
 */
function followChanges(transition: Transition, from: number): number {
  for (let i = from; i < transition.events.length; i++) {
    const payload = transition.events[i]?.payload;
    if (
      payload?.case !== 'stepCompleted' &&
      payload?.case !== 'stepCacheHit' &&
      payload?.case !== 'stepSkipped' &&
      payload?.case !== 'stepFailed' &&
      payload?.case !== 'stepBlocked'
    )
      continue;
    for (const dependent of transition.step(payload.value.stepId)?.dependents ?? []) {
      if (isFull(transition)) return transition.events.length;
      releaseStep(transition, dependent);
    }
  }
  return transition.events.length;
}

/** Makes a step ready when nothing holds it back, and blocks it when a dependency will never complete. */
function releaseStep(transition: Transition, stepId: string): void {
  const step = transition.step(stepId);
  if (step?.state !== StepState.PENDING) return;
  if (step.unmetDependencies === 0) {
    transition.emit({ case: 'stepReady', value: { stepId } });
    return;
  }
  const causeStepId = step.lostDependency;
  if (causeStepId !== undefined) transition.emit({ case: 'stepBlocked', value: { stepId, causeStepId } });
}

/**
 * Fills free slots with steps that are admitted, in the order of the specification.
 * @returns whether steps completed by it, so that others may have become ready
 */
function schedule(transition: Transition): boolean {
  const { context } = transition;
  const run = transition.state;
  if (run.state !== RunState.PENDING && run.state !== RunState.RUNNING) return false;
  let slots = freeSlots(run, context.defaultParallelSteps, heldSlots(context));
  if (slots <= 0 && !context.leasesAsked) return false;
  const admitted: [StepRecord, Admission][] = [];
  for (const step of stepsIn(run, StepState.READY)) {
    if (step.isExhausted) continue;
    const isHeld = hasSlot(context.leaseAnswerOf?.(step));
    if (slots <= 0 && !isHeld) continue;
    const next = admission(run, step, context);
    if (typeof next === 'object' && 'wait' in next) {
      if (next.asksProbe && !transition.probeQuestions.has(step.spec.phase))
        transition.probeQuestions.set(step.spec.phase, step.spec.id);
      continue;
    }
    admitted.push([step, next]);
    if (!isHeld) slots--;
    if (slots <= 0 && !context.leasesAsked) break;
  }
  let hasCompleted = false;
  for (const [step, next] of admitted) {
    if (isFull(transition)) return false;
    proceed(transition, step, next);
    hasCompleted ||= typeof next === 'object';
  }
  return hasCompleted;
}

function proceed(transition: Transition, step: StepRecord, next: Admission): void {
  const stepId = step.spec.id;
  if (next === 'schedule') scheduleStep(transition, step);
  else if (next === 'check-inputs') transition.checks.push(stepId);
  else if (next === 'ask-cache') transition.cacheQuestions.push(stepId);
  else if (next === 'ask-lease') transition.leaseQuestions.push(stepId);
  else if ('reuse' in next) {
    const { key, result, sourceRun, sourceStepId } = next.reuse;
    transition.emit({ case: 'stepCacheHit', value: { stepId, key, result, sourceRun, sourceStepId } });
  }
}

function scheduleStep(transition: Transition, step: StepRecord): void {
  const stepId = step.spec.id;
  const number = step.attempts.length + 1;
  const resumes = step.checkpoint !== undefined && step.fallback === '';
  const lease = grantedLease(step, transition.context);
  transition.emit({
    case: 'stepScheduled',
    value: {
      stepId,
      attemptId: attemptIdOf(transition.run, stepId, number),
      number,
      fencingToken: step.fencingToken + 1n,
      phaseVersion: transition.context.phaseVersionOf?.(step.spec.phase) ?? '',
      ...(resumes && step.checkpoint ? { checkpoint: step.checkpoint } : {}),
      ...(lease ? { lease } : {}),
    },
  });
}

/** Ends the run when no step will change any more. */
function finish(transition: Transition, isOverdue: boolean): void {
  const { state } = transition;
  const total = state.steps.length;
  const done = countIn(state, StepState.COMPLETED) + countIn(state, StepState.SKIPPED);
  if (state.state !== RunState.CANCELLING && done === total)
    transition.emit({ case: 'runCompleted', value: {} });
  else if (countTerminal(state) < total) return;
  else if (state.state === RunState.CANCELLING) transition.emit({ case: 'runCancelled', value: {} });
  else {
    const failure = isOverdue
      ? deadlineFailure(transition)
      : isWhole(state)
        ? failureOf(transition)
        : abandonedFailure(transition);
    transition.emit({ case: 'runFailed', value: { failure } });
  }
}

/** The failure of the first step that failed, named. */
function failureOf(transition: Transition): FailureInit {
  const [step] = stepsIn(transition.state, StepState.FAILED);
  return {
    code: step?.failure?.code ?? 'ABORTED',
    message: step ? `step "${step.spec.id}" failed: ${step.failure?.message ?? ''}` : 'steps were stopped',
    reason: step?.failure?.reason ?? 'STEP_STOPPED',
    failureClass: step?.failure?.failureClass ?? FailureClass.PERMANENT,
    fieldViolations: step?.failure?.fieldViolations ?? [],
  };
}

function abandonedFailure(transition: Transition): FailureInit {
  const { steps, totalSteps } = transition.state;
  return {
    code: 'ABORTED',
    message: `the creation of the run was not finished: ${steps.length} of ${totalSteps} steps came within ${CREATION_TIME_MS / 1_000} s; create it again`,
    reason: 'CREATION_INCOMPLETE',
    failureClass: FailureClass.PERMANENT,
  };
}

/** Whether whoever created the run went away before all of its steps were there. */
function isCreationAbandoned(transition: Transition): boolean {
  const { state, context } = transition;
  return !isWhole(state) && context.nowMs > timestampMs(state.createTime) + CREATION_TIME_MS;
}

function deadlineFailure(transition: Transition): FailureInit {
  const { deadline } = transition.state;
  return {
    code: 'DEADLINE_EXCEEDED',
    message: `the run did not end within its deadline of ${deadline ? durationMs(deadline) / 1_000 : 0} s`,
    reason: 'RUN_DEADLINE',
    failureClass: FailureClass.PERMANENT,
  };
}

function isDeadlinePassed(transition: Transition): boolean {
  const { deadline, deadlineFrom, state } = transition.state;
  return (
    deadline !== undefined &&
    state !== RunState.CANCELLING &&
    transition.context.nowMs > timestampMs(deadlineFrom) + durationMs(deadline)
  );
}

/** Whether the batch is full; what is left is decided next. */
function isFull(transition: Transition): boolean {
  if (transition.isFull) transition.hasMore = true;
  return transition.isFull;
}
