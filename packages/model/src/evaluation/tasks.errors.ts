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
