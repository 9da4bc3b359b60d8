import { AppError } from '@agentforge/errors';

/** Training left the finite numbers: the same configuration would do so again. */
export class TrainingDivergedError extends AppError {
  constructor(step: number, cause: AppError) {
    super('FAILED_PRECONDITION', `training diverged at step ${step}: ${cause.message}; lower learning_rate`, {
      reason: 'TRAINING_DIVERGED',
      cause,
    });
  }
}
