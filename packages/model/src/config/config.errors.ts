import { AppError, type FieldViolation } from '@agentforge/errors';

/** A configuration that no model can have, or none of this family. Lists every violated field. */
export class InvalidModelConfigError extends AppError {
  constructor(source: string, violations: readonly FieldViolation[]) {
    const lines = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
    super('INVALID_ARGUMENT', `${source} is invalid: ${lines}`, {
      reason: 'INVALID_MODEL_CONFIG',
      fieldViolations: violations,
    });
  }
}
