import { AppError } from '@agentforge/errors';

/** Another append came first: load the run again and decide again. */
export class RevisionConflictError extends AppError {
  constructor(
    readonly run: string,
    readonly expectedRevision: bigint,
    /** Revision the run has, when the server said so. */
    readonly actualRevision: bigint | undefined,
  ) {
    super('ABORTED', `run ${run} is at revision ${actualRevision ?? '?'}, not ${expectedRevision}`, {
      reason: 'REVISION_CONFLICT',
      metadata: { run, expected: String(expectedRevision), actual: String(actualRevision ?? '') },
    });
  }
}

/** A message does not fit into the stream. */
export class MessageTooLargeError extends AppError {
  constructor(what: string, sizeBytes: number, limitBytes: number) {
    super('RESOURCE_EXHAUSTED', `${what} has ${sizeBytes} bytes; at most ${limitBytes} are accepted`, {
      reason: 'MESSAGE_TOO_LARGE',
      metadata: { sizeBytes: String(sizeBytes), limitBytes: String(limitBytes) },
    });
  }
}

/** A batch of events is larger than one message of the log may be: commit it in several batches. */
export class BatchTooLargeError extends MessageTooLargeError {
  constructor(run: string, sizeBytes: number, limitBytes: number) {
    super(`batch of run ${run}`, sizeBytes, limitBytes);
  }
}

/** NATS did not confirm in time; whether the message is stored is not known. */
export class EventLogUnavailableError extends AppError {
  constructor(what: string, cause?: unknown) {
    super('UNAVAILABLE', `NATS did not confirm ${what} in time`, { reason: 'NATS_UNAVAILABLE', cause });
  }
}

/** NATS has no room for the message. */
export class StreamFullError extends AppError {
  constructor(what: string, cause: unknown) {
    super('RESOURCE_EXHAUSTED', `NATS has no room for ${what}`, { reason: 'STREAM_FULL', cause });
  }
}

/** The bytes of a message are not what its subject promises. */
export class MalformedMessageError extends AppError {
  constructor(what: string, problem: string, cause?: unknown) {
    super('INVALID_ARGUMENT', `malformed ${what}: ${problem}`, { reason: 'MALFORMED_MESSAGE', cause });
  }
}

/** A message was written by a newer release than the one that reads it. */
export class UnsupportedVersionError extends AppError {
  constructor(what: string, version: number, newest: number) {
    super(
      'FAILED_PRECONDITION',
      `${what} has schema version ${version}; this release knows up to ${newest}`,
      {
        reason: 'UNSUPPORTED_VERSION',
        metadata: { version: String(version), newest: String(newest) },
      },
    );
  }
}

/** A message that is well formed and can never be processed: it becomes a dead letter at once. */
export class UnprocessableMessageError extends AppError {
  constructor(reason: string, message: string) {
    super('FAILED_PRECONDITION', message, { reason });
  }
}

/** A message of a run's log cannot be read: the state of the run is unknown. */
export class CorruptEventLogError extends AppError {
  constructor(run: string, sequence: bigint, cause: unknown) {
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    super('DATA_LOSS', `event log of run ${run} is unreadable at sequence ${sequence}${why}`, {
      reason: 'EVENT_LOG_CORRUPT',
      metadata: { run, sequence: String(sequence) },
      cause,
    });
  }
}

/** A batch of a run's log follows a batch that is not there: the state of the run is unknown. */
export class EventLogGapError extends AppError {
  constructor(run: string, revision: bigint, expected: bigint, actual: bigint) {
    super(
      'DATA_LOSS',
      `event log of run ${run} has a gap: revision ${revision} follows ${expected}, and ${actual} is the last one known`,
      {
        reason: 'EVENT_LOG_GAP',
        metadata: { run, revision: String(revision), expected: String(expected), actual: String(actual) },
      },
    );
  }
}

/** A batch was written by a newer version of the software than this. */
export class NewerEventsError extends AppError {
  constructor(version: number, known: number) {
    super('UNIMPLEMENTED', `events of version ${version}; this version reads up to ${known}: upgrade it`, {
      reason: 'EVENTS_VERSION_UNKNOWN',
      metadata: { version: String(version), known: String(known) },
    });
  }
}

/** A newer attempt stored its checkpoint already. */
export class StaleFencingTokenError extends AppError {
  constructor(attemptId: string, token: bigint, newest: bigint) {
    super('FAILED_PRECONDITION', `checkpoint of ${attemptId} with token ${token} is older than ${newest}`, {
      reason: 'STALE_FENCING_TOKEN',
      metadata: { attemptId, token: String(token), newest: String(newest) },
    });
  }
}

/** The attempt has ended, and nothing that is still computed for it is wanted. */
export class AttemptOverError extends AppError {
  constructor(attemptId: string) {
    super('FAILED_PRECONDITION', `attempt ${attemptId} has ended`, {
      reason: 'ATTEMPT_OVER',
      metadata: { attemptId },
    });
  }
}

/** Not `projects/{project}/runs/{run}`. */
export class InvalidRunNameError extends AppError {
  constructor(text: string) {
    super(
      'INVALID_ARGUMENT',
      `${JSON.stringify(text.slice(0, 200))} is not "projects/{project}/runs/{run}"`,
      {
        reason: 'INVALID_RUN_NAME',
      },
    );
  }
}

/** A name that cannot be part of a subject. */
export class InvalidNameError extends AppError {
  constructor(what: string, text: string) {
    super('INVALID_ARGUMENT', `${JSON.stringify(text.slice(0, 200))} is not a valid ${what} name`, {
      reason: 'INVALID_NAME',
    });
  }
}

/** There is no dead letter with this sequence. */
export class DeadLetterNotFoundError extends AppError {
  constructor(sequence: number) {
    super('NOT_FOUND', `there is no dead letter ${sequence}`, { reason: 'DEAD_LETTER_NOT_FOUND' });
  }
}

/** A dead letter that must not be sent again. */
export class NotRedrivableError extends AppError {
  constructor(sequence: number, why: string) {
    super('FAILED_PRECONDITION', `dead letter ${sequence} cannot be sent again: ${why}`, {
      reason: 'NOT_REDRIVABLE',
      metadata: { sequence: String(sequence) },
    });
  }
}

/** An event that the run's state does not allow. */
export class IllegalTransitionError extends AppError {
  constructor(run: string, event: string, problem: string, stepId?: string) {
    const where = stepId ? `step ${stepId} of run ${run}` : `run ${run}`;
    super('FAILED_PRECONDITION', `${event} is not allowed for ${where}: ${problem}`, {
      reason: 'ILLEGAL_TRANSITION',
      metadata: { run, event, ...(stepId ? { stepId } : {}) },
    });
  }
}
