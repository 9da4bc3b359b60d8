import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** Settings an evaluation cannot run with. */
export class InvalidEvaluationError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `evaluation cannot run: ${summarize(violations)}`, {
      reason: 'INVALID_EVALUATION',
      fieldViolations: violations,
    });
  }
}
