import { AppError } from '@agentforge/errors';

/** A saved data position that belongs to other data or other batch sizes. */
export class BatchStateError extends AppError {
  constructor(differences: readonly string[]) {
    super('INVALID_ARGUMENT', `data position cannot be restored: ${differences.join('; ')}`, {
      reason: 'BATCH_STATE_MISMATCH',
    });
  }
}
