import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** Settings or files of an adapter that do not fit the model, or ask for what is not supported. */
export class InvalidAdapterError extends AppError {
  constructor(source: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${source} is not a usable adapter: ${summarize(violations)}`, {
      reason: 'INVALID_ADAPTER',
      fieldViolations: violations,
    });
  }
}
