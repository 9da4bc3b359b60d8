import { type Failure, FailureClass, FailureSchema } from '@agentforge/contracts';
import { AppError, type CanonicalCode } from '@agentforge/errors';
import { create } from '@bufbuild/protobuf';
import { toAppError } from '../worker/system-error.js';

/** Codes after which the same attempt would fail again. */
const PERMANENT: ReadonlySet<CanonicalCode> = new Set([
  'ALREADY_EXISTS',
  'DATA_LOSS',
  'FAILED_PRECONDITION',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'OUT_OF_RANGE',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'UNIMPLEMENTED',
]);

/** Longest message of a failure, in characters. */
const MAX_MESSAGE = 4000;

/** Whether trying again can help after an error of this code. */
export function failureClassOf(code: CanonicalCode): FailureClass {
  if (code === 'RESOURCE_EXHAUSTED') return FailureClass.RESOURCE;
  return PERMANENT.has(code) ? FailureClass.PERMANENT : FailureClass.TRANSIENT;
}

/** Any thrown value as the failure of an attempt. */
export function toFailure(thrown: unknown): Failure {
  const { code, message, reason, fieldViolations } = toAppError(thrown);
  return create(FailureSchema, {
    code,
    message: message.slice(0, MAX_MESSAGE),
    reason: reason ?? '',
    fieldViolations: fieldViolations.map((violation) => ({ ...violation })),
    failureClass: failureClassOf(code),
  });
}

/** A task that does not fit the phase: another phase's name, or an input port that is not fed as it must be. */
export class UnfitTaskError extends AppError {
  constructor(problems: readonly { field: string; description: string }[]) {
    const text = problems.map(({ field, description }) => `${field}: ${description}`).join('; ');
    super('INVALID_ARGUMENT', `the task does not fit the phase: ${text}`, {
      reason: 'UNFIT_TASK',
      fieldViolations: problems,
    });
  }
}
