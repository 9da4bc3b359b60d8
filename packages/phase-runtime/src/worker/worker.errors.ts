import { AppError } from '@agentforge/errors';
import type { StopReason } from './control.js';

/** The work has to end; not a failure. */
export class StoppedError extends AppError {
  constructor(readonly stopReason: StopReason) {
    super('CANCELLED', `stopped: ${stopReason}`, { reason: 'STOPPED' });
  }
}

/** A checkpoint that cannot be continued from. */
export class UnusableCheckpointError extends AppError {
  constructor(problem: string) {
    super('FAILED_PRECONDITION', `checkpoint cannot be used: ${problem}`, { reason: 'UNUSABLE_CHECKPOINT' });
  }
}
