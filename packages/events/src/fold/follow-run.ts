import { FailureClass, FailureSchema } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { blankRun, type EventBatch, foldRun } from './fold-run.js';
import { quarantined, type RunRecord } from './run-record.js';

/** A batch as a log delivers it. */
export interface LoggedBatch extends EventBatch {
  readonly revision: bigint;
  readonly time: Date;
  /** Why it cannot be read. */
  readonly problem?: AppError;
}

/**
 * The run after the next batch of its log, whatever that is: a batch that is known already changes nothing, and one
 * that is unreadable, follows a gap or is not allowed puts the run into quarantine as it was before. Nothing is
 * folded after that, so nobody decides on a state that is not what the log says.
 */
export function followRun(state: RunRecord | undefined, batch: LoggedBatch): RunRecord {
  if (state && (state.quarantine || batch.revision <= state.revision)) return state;
  try {
    if (batch.problem) throw batch.problem;
    return foldRun(state, batch, batch.revision);
  } catch (thrown) {
    const { code, message, reason = 'EVENT_LOG_CORRUPT' } = AppError.from(thrown);
    const failure = create(FailureSchema, {
      code: code === 'INTERNAL' ? code : 'DATA_LOSS',
      message,
      reason,
      failureClass: FailureClass.PERMANENT,
    });
    return quarantined(state ?? blankRun(batch.run, timestampFromDate(batch.time)), failure);
  }
}
