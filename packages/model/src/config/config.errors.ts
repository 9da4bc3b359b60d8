import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** A configuration that no model can have, or none of this family. Lists every violated field. */
export class InvalidModelConfigError extends AppError {
  constructor(source: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${source} is invalid: ${summarize(violations)}`, {
      reason: 'INVALID_MODEL_CONFIG',
      fieldViolations: violations,
    });
  }
}
