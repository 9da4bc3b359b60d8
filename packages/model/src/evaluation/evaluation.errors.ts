import { AppError, type FieldViolation } from '@agentforge/errors';

/** Settings an evaluation cannot run with. */
export class InvalidEvaluationError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const lines = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    super('INVALID_ARGUMENT', `evaluation cannot run: ${lines}`, {
      reason: 'INVALID_EVALUATION',
      fieldViolations: violations,
    });
  }
}
