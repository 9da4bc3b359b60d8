import { FailureClass, StepState, type Verdict } from '@agentforge/contracts';
import { currentAttempt } from '@agentforge/events';
import { failAttempt } from './fail-attempt.js';
import type { EngineInput } from './inputs.js';
import type { FailureInit, Transition } from './transition.js';

/** Refused inputs end a step before it starts: the same inputs would be refused again. */
export function decideInputsJudged(
  transition: Transition,
  input: Extract<EngineInput, { kind: 'inputs-judged' }>,
): void {
  const step = transition.step(input.stepId);
  if (input.failure === undefined || step?.state !== StepState.READY) return;
  transition.emit({ case: 'stepFailed', value: { stepId: input.stepId, failure: input.failure } });
}

/** A blocking verdict that failed ends the attempt; it would fail again, so there is no retry. */
export function decideOutputsJudged(
  transition: Transition,
  input: Extract<EngineInput, { kind: 'outputs-judged' }>,
): void {
  const step = transition.step(input.stepId);
  if (step?.state !== StepState.VALIDATING || currentAttempt(step)?.id !== input.attemptId) return;
  const failure = input.failure ?? refusalOf(input.verdicts, 'FAILED_PRECONDITION');
  if (failure !== undefined)
    failAttempt(transition, step, input.attemptId, failure, { verdicts: input.verdicts });
  else
    transition.emit({
      case: 'stepCompleted',
      value: { stepId: input.stepId, verdicts: [...input.verdicts] },
    });
}

/**
 * The failure that blocking verdicts amount to, or undefined when all of them passed.
 * @param code  INVALID_ARGUMENT for inputs, which the caller chose; FAILED_PRECONDITION for what a step delivered
 */
export function refusalOf(
  verdicts: readonly Verdict[],
  code: 'INVALID_ARGUMENT' | 'FAILED_PRECONDITION',
): FailureInit | undefined {
  const failed = verdicts.filter((verdict) => verdict.blocking && !verdict.valid);
  if (failed.length === 0) return undefined;
  const findings = failed.flatMap(({ validator, errors }) =>
    errors.length === 0
      ? [`${validator} failed`]
      : errors.map((e) => `${validator}: ${e.field} ${e.description}`),
  );
  const more = findings.length > 3 ? ` (and ${findings.length - 3} more)` : '';
  return {
    code,
    message: `${findings.slice(0, 3).join('; ')}${more}`,
    reason: 'VALIDATION_FAILED',
    failureClass: FailureClass.PERMANENT,
    fieldViolations: failed
      .flatMap(({ errors }) => errors)
      .map(({ field, description }) => ({
        $typeName: 'agentforge.failure.v1.FieldViolation' as const,
        field,
        description,
      })),
  };
}
