import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** Settings that nothing can be thought with. Lists every violated field. */
export class InvalidThinkingError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `thoughts cannot be formed: ${summarize(violations)}`, {
      reason: 'INVALID_THINKING',
      fieldViolations: violations,
    });
  }
}

/** A model without the files that thinking needs. */
export class NoThoughtsError extends AppError {
  constructor(file: string) {
    super('FAILED_PRECONDITION', `the model has not learnt to think: it has no ${file}`, {
      reason: 'NO_THOUGHTS',
    });
  }
}
