import { AttemptState, FailureClass, RunState, StepState } from '@agentforge/contracts';
import {
  attemptIdOf,
  countIn,
  isTerminalRun,
  openAttempt,
  type StepRecord,
  stepsIn,
} from '@agentforge/events';
import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { countTerminal, type FailureInit, type Transition } from './transition.js';

/**
 * Draws the conclusions of what was decided: steps become ready, are blocked or stopped, attempts are scheduled into
 * free slots, the run ends. Looks only at steps next to a change, unless it is to be thorough; a batch that is full
 * is left with `hasMore` set, and the next tick goes on.
 */
export function settle(transition: Transition, isThorough: boolean): void {
  if (isTerminalRun(transition.state.state)) return;
  const isOverdue = isDeadlinePassed(transition);
  if (transition.state.state === RunState.CANCELLING || isOverdue) stopSteps(transition, isOverdue);
  else {
    if (isThorough) releasePending(transition);
    followChanges(transition);
    schedule(transition);
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

/** Looks at the dependents of every step that ended in this transition, and at theirs in turn. */
function followChanges(transition: Transition): void {
  for (let i = 0; i < transition.events.length; i++) {
    const payload = transition.events[i]?.payload;
    if (
      payload?.case !== 'stepCompleted' &&
      payload?.case !== 'stepSkipped' &&
      payload?.case !== 'stepFailed' &&
      payload?.case !== 'stepBlocked'
    )
      continue;
    for (const dependent of transition.step(payload.value.stepId)?.dependents ?? []) {
      if (isFull(transition)) return;
      releaseStep(transition, dependent);
    }
  }
}

/** Makes a step ready when nothing holds it back, and blocks it when a dependency will never complete. */
function releaseStep(transition: Transition, stepId: string): void {
  const step = transition.step(stepId);
  if (step?.state !== StepState.PENDING) return;
  if (step.unmetDependencies === 0) {
    transition.emit({ case: 'stepReady', value: { stepId } });
    return;
  }
  const causeStepId = step.dependencies.find((id) => isLost(transition.step(id)?.state));
  if (causeStepId !== undefined) transition.emit({ case: 'stepBlocked', value: { stepId, causeStepId } });
}

const isLost = (state: StepState | undefined): boolean =>
  state === StepState.FAILED || state === StepState.BLOCKED || state === StepState.CANCELLED;

/** Fills free slots with steps that are due, in the order of the specification. */
function schedule(transition: Transition): void {
  const { context } = transition;
  const { state, maxParallelSteps } = transition.state;
  if (state !== RunState.PENDING && state !== RunState.RUNNING) return;
  const limit = maxParallelSteps || context.defaultParallelSteps;
  let slots = limit - countIn(transition.state, StepState.RUNNING) - context.checking.size;
  if (slots <= 0) return;
  const chosen: StepRecord[] = [];
  for (const step of stepsIn(transition.state, StepState.READY)) {
    if (step.isExhausted) continue;
    if (step.nextAttemptTime && timestampMs(step.nextAttemptTime) > context.nowMs) continue;
    if (context.checking.has(step.spec.id)) continue;
    chosen.push(step);
    if (--slots === 0) break;
  }
  for (const step of chosen) {
    if (isFull(transition)) return;
    if (needsCheck(transition, step)) transition.checks.push(step.spec.id);
    else scheduleStep(transition, step);
  }
}

/** Artifacts are judged before a step reads them; a step that reads none is not. */
const needsCheck = (transition: Transition, step: StepRecord): boolean =>
  step.spec.inputs.length > 0 && !transition.context.areInputsAccepted(step.spec.id);

function scheduleStep(transition: Transition, step: StepRecord): void {
  const stepId = step.spec.id;
  const number = step.attempts.length + 1;
  const resumes = step.checkpoint !== undefined && step.fallback === '';
  transition.emit({
    case: 'stepScheduled',
    value: {
      stepId,
      attemptId: attemptIdOf(transition.run, stepId, number),
      number,
      fencingToken: step.fencingToken + 1n,
      ...(resumes && step.checkpoint ? { checkpoint: step.checkpoint } : {}),
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
    const failure = isOverdue ? deadlineFailure(transition) : failureOf(transition);
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
  const { deadline, createTime, state } = transition.state;
  return (
    deadline !== undefined &&
    createTime !== undefined &&
    state !== RunState.CANCELLING &&
    transition.context.nowMs > timestampMs(createTime) + durationMs(deadline)
  );
}

/** Whether the batch is full; what is left is decided next. */
function isFull(transition: Transition): boolean {
  if (transition.isFull) transition.hasMore = true;
  return transition.isFull;
}
