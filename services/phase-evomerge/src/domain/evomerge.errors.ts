import { AppError, type FieldViolation } from '@agentforge/errors';

/** Models that cannot be merged with each other; one violation per reason. */
export class IncompatibleModelsError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const reasons = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
    super('INVALID_ARGUMENT', `the models cannot be merged: ${reasons}`, {
      reason: 'INCOMPATIBLE_MODELS',
      fieldViolations: violations,
    });
  }
}

/** Rows longer than the models have positions for. */
export class SequenceTooLongError extends AppError {
  constructor(length: number, positions: number) {
    super('INVALID_ARGUMENT', `sequence_length is ${length}; the models have ${positions} positions`, {
      reason: 'SEQUENCE_TOO_LONG',
      fieldViolations: [{ field: 'config.sequence_length', description: `must be at most ${positions}` }],
    });
  }
}

/** Tasks that do not fit the positions of the models; one violation each. */
export class TasksTooLongError extends AppError {
  constructor(tasks: readonly FieldViolation[]) {
    const named = tasks.map(({ field, description }) => `task ${field} ${description}`);
    super('INVALID_ARGUMENT', `the models have no room for the tasks: ${named.join('; ')}`, {
      reason: 'TASKS_TOO_LONG',
      fieldViolations: named.map((description) => ({ field: 'inputs.tasks', description })),
    });
  }
}

/** More numbers than a covariance matrix of them can be learnt for. */
export class TooManyGenesError extends AppError {
  constructor(genes: number, most: number) {
    super('INVALID_ARGUMENT', `the search has ${genes} genes; at most ${most} can be searched`, {
      reason: 'TOO_MANY_GENES',
      fieldViolations: [
        {
          field: 'config.vector',
          description: `stands for ${genes} genes with these models; must be at most ${most}: another operator, dfs_scaling: layer, or fewer dfs_repeats`,
        },
      ],
    });
  }
}
