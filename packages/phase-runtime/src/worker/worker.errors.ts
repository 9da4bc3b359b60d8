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

/** What a phase computed for a subtask is not what it accepts as its answer. */
export class MalformedAnswerError extends AppError {
  constructor() {
    super('INTERNAL', 'a subtask was computed, but its answer is not accepted', {
      reason: 'MALFORMED_ANSWER',
    });
  }
}
