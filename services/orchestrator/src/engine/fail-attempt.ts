import { FailureClass, RunState, type Verdict } from '@agentforge/contracts';
import type { StepRecord } from '@agentforge/events';
import { durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  DEFAULT_RETRY,
  type FailureClassName,
  type RetryPolicy,
  retryDelayMs,
} from '../domain/retry-policy.js';
import type { FailureInit, Transition } from './transition.js';

/** What else is known of a failed attempt. */
export interface FailureDetails {
  /** Verdicts that refused its outputs. */
  readonly verdicts?: readonly Verdict[];
  /** Where its task is kept among the dead letters. */
  readonly deadLetterSequence?: bigint;
}

/**
 * Ends the current attempt of a step in failure: another try after a wait, the declared fallback, or the end of
 * the step. While the run is being cancelled the step counts as stopped.
 */
export function failAttempt(
  transition: Transition,
  step: StepRecord,
  attemptId: string,
  failure: FailureInit,
  { verdicts = [], deadLetterSequence = 0n }: FailureDetails = {},
): void {
  const stepId = step.spec.id;
  if (transition.state.state === RunState.CANCELLING) {
    transition.emit({ case: 'stepCancelled', value: { stepId } });
    return;
  }
  const delayMs = retryDelayMs(
    retryPolicyOf(step),
    step.failedAttempts + 1,
    { failureClass: classOf(failure.failureClass), reason: failure.reason },
    attemptId,
  );
  transition.emit({
    case: 'stepAttemptFailed',
    value: {
      stepId,
      attemptId,
      failure,
      verdicts: [...verdicts],
      deadLetterSequence,
      ...(delayMs === undefined
        ? {}
        : { nextAttemptTime: timestampFromMs(transition.context.nowMs + delayMs) }),
    },
  });
  if (delayMs === undefined) giveUp(transition, step, failure);
}

/** What follows when no attempt is left: the fallback of the phase, once, or the end of the step. */
function giveUp(transition: Transition, step: StepRecord, failure: FailureInit): void {
  const stepId = step.spec.id;
  const fallback =
    step.spec.allowFallback === false || step.fallback !== ''
      ? ''
      : transition.context.fallbackOf(step.spec.phase);
  if (fallback === '') transition.emit({ case: 'stepFailed', value: { stepId, failure } });
  else transition.emit({ case: 'stepFallbackUsed', value: { stepId, fallback, failure } });
}

/** The retry policy of a step with defaults for what it does not say. */
export function retryPolicyOf(step: StepRecord): RetryPolicy {
  const retry = step.spec.retry;
  if (retry === undefined) return DEFAULT_RETRY;
  return {
    maxAttempts: retry.maxAttempts || DEFAULT_RETRY.maxAttempts,
    initialIntervalMs: retry.initialInterval
      ? durationMs(retry.initialInterval)
      : DEFAULT_RETRY.initialIntervalMs,
    backoffCoefficient: retry.backoffCoefficient || DEFAULT_RETRY.backoffCoefficient,
    maxIntervalMs: retry.maxInterval ? durationMs(retry.maxInterval) : DEFAULT_RETRY.maxIntervalMs,
    jitter: retry.jitter ?? DEFAULT_RETRY.jitter,
    retryClasses:
      retry.retryClasses.length > 0 ? retry.retryClasses.map(classOf) : DEFAULT_RETRY.retryClasses,
    nonRetryableReasons: retry.nonRetryableReasons,
  };
}

const classOf = (value: FailureClass): FailureClassName =>
  value === FailureClass.PERMANENT ? 'permanent' : value === FailureClass.RESOURCE ? 'resource' : 'transient';
