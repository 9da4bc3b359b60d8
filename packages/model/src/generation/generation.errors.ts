import { AppError, type FieldViolation } from '@agentforge/errors';

/** Settings or a prompt that nothing can be generated with. */
export class InvalidGenerationError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const lines = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    super('INVALID_ARGUMENT', `text cannot be generated: ${lines}`, {
      reason: 'INVALID_GENERATION',
      fieldViolations: violations,
    });
  }
}
