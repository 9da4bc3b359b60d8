import { AppError, type FieldViolation } from '@agentforge/errors';

/** Training left the finite numbers: the same configuration would do so again. */
export class TrainingDivergedError extends AppError {
  constructor(step: number, cause: AppError) {
    super('FAILED_PRECONDITION', `training diverged at step ${step}: ${cause.message}; lower learning_rate`, {
      reason: 'TRAINING_DIVERGED',
      cause,
    });
  }
}

const inWords = (violations: readonly FieldViolation[]): string =>
  violations.map(({ field, description }) => `${field} ${description}`).join('; ');

/** A model that cannot be taught to think; one violation per reason. */
export class UnfitModelError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `the model cannot learn to think: ${inWords(violations)}`, {
      reason: 'UNFIT_MODEL',
      fieldViolations: violations,
    });
  }
}

/** Rows with their thoughts are longer than the model has positions for. */
export class ThoughtsTooLongError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `there is no room for thoughts: ${inWords(violations)}`, {
      reason: 'THOUGHTS_TOO_LONG',
      fieldViolations: violations,
    });
  }
}
