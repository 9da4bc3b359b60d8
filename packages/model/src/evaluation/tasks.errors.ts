import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** A file of tasks that cannot be read. Lists every problem by line. */
export class InvalidTaskFileError extends AppError {
  constructor(file: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${file} is not a usable task file: ${summarize(violations)}`, {
      reason: 'INVALID_TASK_FILE',
      fieldViolations: violations,
      metadata: { file },
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
