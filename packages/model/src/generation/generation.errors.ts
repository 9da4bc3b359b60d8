import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** Settings or a prompt that nothing can be generated with. */
export class InvalidGenerationError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `text cannot be generated: ${summarize(violations)}`, {
      reason: 'INVALID_GENERATION',
      fieldViolations: violations,
    });
  }
}

/** A model that gives no usable prediction: its weights are damaged, or training diverged. */
export class NonFiniteLogitsError extends AppError {
  constructor(position: number) {
    super('FAILED_PRECONDITION', `the model's predictions after token ${position} are not numbers`, {
      reason: 'NON_FINITE_LOGITS',
    });
  }
}
