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

/** A model that cannot be taught to think; one violation per reason. */
export class UnfitModelError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const reasons = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    super('INVALID_ARGUMENT', `the model cannot learn to think: ${reasons}`, {
      reason: 'UNFIT_MODEL',
      fieldViolations: violations,
    });
  }
}

/** Rows with their thoughts are longer than the model has positions for. */
export class ThoughtsTooLongError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const reasons = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    super('INVALID_ARGUMENT', `there is no room for thoughts: ${reasons}`, {
      reason: 'THOUGHTS_TOO_LONG',
      fieldViolations: violations,
    });
  }
}

/** Every task is part of the text that is learnt from: nothing is left to judge by. */
export class TasksKnownError extends AppError {
  constructor(tasks: number) {
    super('INVALID_ARGUMENT', `all ${tasks} tasks occur in the train split of the corpus, answers included`, {
      reason: 'TASKS_KNOWN',
      fieldViolations: [{ field: 'inputs.tasks', description: 'must have a task that the corpus lacks' }],
    });
  }
}
