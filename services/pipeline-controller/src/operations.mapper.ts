import type { DeadLetterSchema, QueueSchema } from '@agentforge/contracts';
import type { DeadLetterHead, QueueReading } from '@agentforge/events';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { FieldKinds, FieldValues } from './domain/filter.js';

/** What dead letters can be filtered by. */
export const LETTER_FIELDS: FieldKinds = {
  origin: 'text',
  reason: 'text',
  phase: 'text',
  run: 'text',
  create_time: 'time',
};

/** The values of these fields. */
export const letterFields = ({ origin, reason, phase, run, time }: DeadLetterHead): FieldValues => ({
  origin,
  reason,
  phase,
  run,
  create_time: time.getTime(),
});

/** A dead letter as callers see it. @param payload  left out of lists */
export function toDeadLetter(
  letter: DeadLetterHead,
  payload?: Uint8Array,
): MessageInitShape<typeof DeadLetterSchema> {
  const { origin, subject, reason, message, deliveries, run, stepId, attemptId, phase } = letter;
  return {
    sequence: BigInt(letter.sequence),
    origin,
    subject,
    reason,
    message,
    createTime: timestampFromDate(letter.time),
    deliveries,
    run,
    stepId,
    attemptId,
    phase,
    sizeBytes: BigInt(letter.sizeBytes),
    truncated: letter.isTruncated,
    ...(payload ? { payload } : {}),
  };
}

/** A queue as callers see it. */
export function toQueue(reading: QueueReading): MessageInitShape<typeof QueueSchema> {
  const { stream, phase, waiting, inFlight, oldestAgeMs } = reading;
  return {
    stream,
    phase,
    waiting: BigInt(waiting),
    inProgress: BigInt(inFlight),
    ...(waiting > 0 ? { oldestAge: durationFromMs(oldestAgeMs) } : {}),
  };
}
