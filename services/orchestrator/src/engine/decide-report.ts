import {
  type Attempt,
  AttemptState,
  FailureClass,
  RunState,
  type StepReport,
  StepState,
  type TaskFailed,
} from '@agentforge/contracts';
import {
  currentAttempt,
  hasRefusal,
  openAttempt,
  type StepRecord,
  UnprocessableMessageError,
} from '@agentforge/events';
import { releasedFailure } from './decide-command.js';
import { failAttempt } from './fail-attempt.js';
import type { Transition } from './transition.js';

/**
 * Decides what a worker's report means. A report of the current attempt that says nothing new adds no event; one of
 * an attempt that is not current, or from a worker whose place another one took, is refused and recorded once.
 * @throws UnprocessableMessageError  the run has no such step
 */
export function decideReport(transition: Transition, report: StepReport): void {
  const step = transition.step(report.stepId);
  if (step === undefined)
    throw new UnprocessableMessageError(
      'STEP_UNKNOWN',
      `run "${transition.run}" has no step "${report.stepId}"`,
    );
  if (report.payload.case === 'failed' && report.payload.value.deadLetterSequence > 0n) {
    decideLost(transition, step, report.attemptId, report.payload.value);
    return;
  }
  const attempt = currentAttempt(step);
  if (
    attempt === undefined ||
    attempt.id !== report.attemptId ||
    attempt.fencingToken !== report.fencingToken
  ) {
    if (!isRepetition(step, report))
      refuse(transition, step, report, `attempt ${lastOf(step)} is the current one`);
    return;
  }
  const isSuperseded = attempt.state === AttemptState.STARTED && attempt.worker !== report.worker;
  if (isSuperseded && report.payload.case !== 'started') {
    refuse(transition, step, report, 'another worker took over the attempt');
    return;
  }
  if (step.state === StepState.VALIDATING) return;
  decideCurrent(transition, step, attempt, report);
}

/**
 * The task of an attempt became a dead letter: nobody works on it, and nobody will. Says nothing new when the attempt
 * has ended in the meantime.
 */
function decideLost(
  transition: Transition,
  step: StepRecord,
  attemptId: string,
  { failure, deadLetterSequence }: TaskFailed,
): void {
  if (openAttempt(step)?.id !== attemptId) return;
  failAttempt(transition, step, attemptId, failure ?? unexplained(), { deadLetterSequence });
}

/** A report of the attempt whose turn it is. */
function decideCurrent(transition: Transition, step: StepRecord, attempt: Attempt, report: StepReport): void {
  const stepId = step.spec.id;
  const attemptId = attempt.id;
  const isCancelling = transition.state.state === RunState.CANCELLING;
  const isNewWorker = attempt.state === AttemptState.QUEUED || attempt.worker !== report.worker;
  if (isNewWorker)
    transition.emit({ case: 'stepStarted', value: { stepId, attemptId, worker: report.worker } });
  const { payload } = report;
  switch (payload.case) {
    case 'started':
    case undefined:
      return;
    case 'checkpointed':
      checkpointed(transition, step, attempt, payload.value.checkpoint, payload.value.sequence);
      return;
    case 'succeeded':
      if (isCancelling) {
        transition.emit({ case: 'stepCancelled', value: { stepId } });
        return;
      }
      succeeded(transition, step, attemptId, payload.value.result);
      return;
    case 'failed':
      failAttempt(transition, step, attemptId, payload.value.failure ?? unexplained());
      return;
    case 'cancelled':
      failAttempt(transition, step, attemptId, {
        code: 'CANCELLED',
        message: 'the task was cancelled at its worker',
        reason: 'TASK_CANCELLED',
        failureClass: FailureClass.PERMANENT,
      });
      return;
    case 'released':
      if (isCancelling) {
        transition.emit({ case: 'stepCancelled', value: { stepId } });
        return;
      }
      checkpointed(transition, step, attempt, payload.value.checkpoint);
      transition.emit({
        case: 'stepAttemptFailed',
        value: { stepId, attemptId, failure: releasedFailure('the worker stopped at a checkpoint') },
      });
      return;
    default:
      payload satisfies never;
  }
}

/** Reports are taken by all replicas and may overtake each other: one that comes late does not replace a newer one. */
function checkpointed(
  transition: Transition,
  step: StepRecord,
  attempt: Attempt,
  checkpoint: Attempt['checkpoint'],
  sequence = 0,
): void {
  if (checkpoint === undefined || checkpoint.digest === attempt.checkpoint?.digest) return;
  if (sequence > 0 && sequence <= attempt.checkpointSequence) return;
  transition.emit({
    case: 'stepCheckpointed',
    value: { stepId: step.spec.id, attemptId: attempt.id, checkpoint, sequence },
  });
}

/** A phase that delivers nothing has nothing to be judged, so its step completes at once. */
function succeeded(
  transition: Transition,
  step: StepRecord,
  attemptId: string,
  result: StepRecord['reported'],
): void {
  const stepId = step.spec.id;
  if (result === undefined) {
    failAttempt(transition, step, attemptId, unexplained());
    return;
  }
  transition.emit({ case: 'stepReported', value: { stepId, attemptId, result } });
  if (result.outputs.length === 0 && !transition.context.hasOutputsToJudge(step.spec.phase))
    transition.emit({ case: 'stepCompleted', value: { stepId } });
}

/** Whether the report only repeats what the log says about an attempt that has ended. */
function isRepetition(step: StepRecord, report: StepReport): boolean {
  const attempt = step.attempts.find(({ id }) => id === report.attemptId);
  if (attempt?.fencingToken !== report.fencingToken || attempt.worker !== report.worker) return false;
  const { state } = attempt;
  if (report.payload.case === 'checkpointed') return state === AttemptState.SUCCEEDED;
  if (report.payload.case === 'succeeded') return state === AttemptState.SUCCEEDED;
  if (report.payload.case === 'failed')
    return (
      state === AttemptState.FAILED && attempt.failure?.message === report.payload.value.failure?.message
    );
  return false;
}

/** Records a refused result once. A late "started", "cancelled" or "released" carries no result to refuse. */
function refuse(transition: Transition, step: StepRecord, report: StepReport, reason: string): void {
  const kind = report.payload.case;
  if (kind !== 'succeeded' && kind !== 'failed' && kind !== 'checkpointed') return;
  const { stepId, attemptId, fencingToken } = report;
  if (hasRefusal(step, attemptId, fencingToken, kind)) return;
  transition.emit({
    case: 'reportRefused',
    value: { stepId, attemptId, fencingToken, report: kind, reason },
  });
}

const lastOf = (step: StepRecord): string => step.attempts.at(-1)?.id ?? 'none';

const unexplained = () => ({
  code: 'INTERNAL',
  message: 'the worker reported an end without saying what happened',
  reason: 'EMPTY_REPORT',
  failureClass: FailureClass.TRANSIENT,
});
