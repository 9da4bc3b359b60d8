import { AttemptState, FailureClass, RunState, StepState } from '@agentforge/contracts';
import { isTerminalRun, isWhole, openAttempt, RELEASED_REASON, stepsIn } from '@agentforge/events';
import { IllegalRunStateError, InvalidFieldError, StepNotFoundError } from '../orchestrator.errors.js';
import type { EngineInput } from './inputs.js';
import { runStateName, type Transition } from './transition.js';

/** An input that a caller asked for. */
export type Command = Extract<
  EngineInput,
  { kind: 'create' | 'add-steps' | 'pause' | 'resume' | 'cancel' | 'retry' }
>;

/** Decides a command; throws when the run's state does not allow it. */
export function decideCommand(transition: Transition, command: Command): void {
  switch (command.kind) {
    case 'create':
      transition.emit({
        case: 'runCreated',
        value: {
          displayName: command.displayName,
          labels: command.labels,
          graph: command.graph,
          requestId: command.requestId,
          requestDigest: command.requestDigest,
          totalSteps: command.totalSteps ?? 0,
          schedule: command.schedule ?? '',
        },
      });
      return;
    case 'add-steps':
      if (transition.state.steps.length === command.from)
        transition.emit({ case: 'stepsAdded', value: { steps: [...command.steps] } });
      return;
    case 'pause':
      pause(transition);
      return;
    case 'resume':
      resume(transition);
      return;
    case 'cancel':
      cancel(transition, command.reason);
      return;
    case 'retry':
      retry(transition, command);
      return;
    default:
      command satisfies never;
  }
}

/** Pausing a paused run changes nothing. Attempts that no worker has started go back at once. */
function pause(transition: Transition): void {
  const { state } = transition.state;
  if (state === RunState.PAUSED) return;
  if (isTerminalRun(state) || state === RunState.CANCELLING)
    throw new IllegalRunStateError(transition.run, runStateName(state), 'pause', 'PENDING or RUNNING');
  transition.emit({ case: 'runPaused', value: {} });
  for (const step of [...stepsIn(transition.state, StepState.RUNNING)]) {
    const attempt = openAttempt(step);
    if (attempt?.state === AttemptState.QUEUED)
      transition.emit({
        case: 'stepAttemptFailed',
        value: {
          stepId: step.spec.id,
          attemptId: attempt.id,
          failure: releasedFailure('the run was paused'),
        },
      });
  }
}

function resume(transition: Transition): void {
  const { state } = transition.state;
  if (state !== RunState.PAUSED)
    throw new IllegalRunStateError(transition.run, runStateName(state), 'resume', 'PAUSED');
  transition.emit({ case: 'runResumed', value: {} });
}

/** Cancelling again changes nothing. What is not in a worker's hands is stopped when the run settles. */
function cancel(transition: Transition, reason: string): void {
  const { state } = transition.state;
  if (state === RunState.CANCELLING) return;
  if (isTerminalRun(state))
    throw new IllegalRunStateError(
      transition.run,
      runStateName(state),
      'cancel',
      'PENDING, RUNNING or PAUSED',
    );
  transition.emit({ case: 'runCancelRequested', value: { reason } });
}

function retry(transition: Transition, command: Extract<Command, { kind: 'retry' }>): void {
  const { state } = transition;
  if (!isTerminalRun(state.state))
    throw new IllegalRunStateError(
      transition.run,
      runStateName(state.state),
      'retry',
      'COMPLETED, FAILED or CANCELLED',
    );
  if (!isWhole(state))
    throw new IllegalRunStateError(transition.run, 'incomplete', 'retry', 'complete; create it again');
  const unknown = [...command.stepIds, ...Object.keys(command.configOverrides)].filter(
    (id) => transition.step(id) === undefined,
  );
  if (unknown.length > 0) throw new StepNotFoundError(transition.run, [...new Set(unknown)]);
  const again = stepsToRepeat(transition, command.stepIds);
  const violations = Object.keys(command.configOverrides).flatMap((id) =>
    again.has(id)
      ? []
      : [
          {
            field: `config_overrides["${id}"]`,
            description: 'names a step that is not done again; add it to step_ids',
          },
        ],
  );
  if (violations.length > 0) throw new InvalidFieldError(violations);
  if (again.size === 0)
    throw new IllegalRunStateError(
      transition.run,
      runStateName(state.state),
      'retry',
      'incomplete, or name the steps to do again',
    );
  transition.emit({
    case: 'runRetried',
    value: { stepIds: [...again], configOverrides: { ...command.configOverrides } },
  });
}

/** The named steps, or those that did not complete, with everything that depends on them. */
function stepsToRepeat(transition: Transition, named: readonly string[]): Set<string> {
  const start =
    named.length > 0
      ? named
      : [StepState.FAILED, StepState.BLOCKED, StepState.CANCELLED].flatMap((state) =>
          [...stepsIn(transition.state, state)].map((step) => step.spec.id),
        );
  const again = new Set(start);
  for (const id of again) for (const dependent of transition.step(id)?.dependents ?? []) again.add(dependent);
  return again;
}

/** Failure of an attempt that was handed back; the fold counts it as a release. */
export const releasedFailure = (why: string) => ({
  code: 'ABORTED',
  message: `handed back: ${why}`,
  reason: RELEASED_REASON,
  failureClass: FailureClass.TRANSIENT,
});
