import { AppError, type FieldViolation } from '@agentforge/errors';
import { MemoryDivergedError } from '@agentforge/model';

/** A base model that is not what the configuration asks for; one violation per reason. */
export class UnfitBaseModelError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const reasons = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    super('INVALID_ARGUMENT', `training cannot start from the base model: ${reasons}`, {
      reason: 'UNFIT_BASE_MODEL',
      fieldViolations: violations,
    });
  }
}

/** Training left the finite numbers: the same configuration would do so again. */
export class TrainingDivergedError extends AppError {
  constructor(step: number, cause: AppError) {
    // What is wrong with a memory says itself what to lower.
    const advice = cause instanceof MemoryDivergedError ? '' : '; lower learning_rate';
    super('FAILED_PRECONDITION', `training diverged at step ${step}: ${cause.message}${advice}`, {
      reason: 'TRAINING_DIVERGED',
      cause,
    });
  }
}
