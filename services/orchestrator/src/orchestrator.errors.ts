import type { Failure } from '@agentforge/contracts';
import { AppError, type FieldViolation } from '@agentforge/errors';

/** INVALID_ARGUMENT (or UNIMPLEMENTED): the graph breaks rules; every violation is in the details. */
export class InvalidGraphError extends AppError {
  constructor(violations: readonly FieldViolation[], isOnlyUnimplemented: boolean) {
    const [first] = violations;
    const more = violations.length > 1 ? ` (and ${violations.length - 1} more violations)` : '';
    super(
      isOnlyUnimplemented ? 'UNIMPLEMENTED' : 'INVALID_ARGUMENT',
      `graph is not valid: ${first?.field ?? ''} ${first?.description ?? ''}${more}`,
      { reason: 'INVALID_GRAPH', fieldViolations: violations },
    );
  }
}

/** INVALID_ARGUMENT: a field of a request is malformed. */
export class InvalidFieldError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', violations.map((v) => `${v.field} ${v.description}`).join('; '), {
      reason: 'INVALID_FIELD',
      fieldViolations: violations,
    });
  }
}

/** NOT_FOUND: no such run. */
export class RunNotFoundError extends AppError {
  constructor(name: string) {
    super('NOT_FOUND', `there is no run "${name}"`, { reason: 'RUN_NOT_FOUND', metadata: { run: name } });
  }
}

/** NOT_FOUND: a run has no such step. */
export class StepNotFoundError extends AppError {
  constructor(run: string, stepIds: readonly string[]) {
    super('NOT_FOUND', `run "${run}" has no step ${stepIds.map((id) => `"${id}"`).join(', ')}`, {
      reason: 'STEP_NOT_FOUND',
      metadata: { run },
    });
  }
}

/** ALREADY_EXISTS: another run has this name. */
export class RunExistsError extends AppError {
  constructor(name: string) {
    super('ALREADY_EXISTS', `a different run has the name "${name}"; choose another name`, {
      reason: 'RUN_EXISTS',
      metadata: { run: name },
    });
  }
}

/** ALREADY_EXISTS: the same request id came with another content. */
export class RequestIdReusedError extends AppError {
  constructor(requestId: string, run: string) {
    super(
      'ALREADY_EXISTS',
      `request id "${requestId}" created "${run}" from another request; use a new request id`,
      {
        reason: 'REQUEST_ID_REUSED',
        metadata: { run },
        fieldViolations: [{ field: 'request_id', description: `created "${run}" from another request` }],
      },
    );
  }
}

/** FAILED_PRECONDITION: the state of the run does not allow the transition. */
export class IllegalRunStateError extends AppError {
  constructor(run: string, state: string, wish: string, allowed: string) {
    const description = `the run is ${state}; ${wish} needs a run that is ${allowed}`;
    super('FAILED_PRECONDITION', `cannot ${wish} "${run}": ${description}`, {
      reason: 'ILLEGAL_RUN_STATE',
      metadata: { run, state },
      fieldViolations: [{ field: run, description }],
    });
  }
}

/** DATA_LOSS: the log of the run has a gap or cannot be read, so nothing is decided about it. */
export class RunQuarantinedError extends AppError {
  constructor(run: string, { message, reason }: Failure) {
    super('DATA_LOSS', `run "${run}" is quarantined: ${message}`, {
      reason: 'RUN_QUARANTINED',
      metadata: { run, cause: reason },
    });
  }
}

/** RESOURCE_EXHAUSTED: as many runs are active as the service accepts. */
export class TooManyRunsError extends AppError {
  constructor(limit: number, retryAfterMs: number) {
    super('RESOURCE_EXHAUSTED', `${limit} runs are active, as many as are accepted; try again later`, {
      reason: 'TOO_MANY_ACTIVE_RUNS',
      metadata: { limit: String(limit) },
      retryAfterMs,
    });
  }
}

/** RESOURCE_EXHAUSTED: a limit of the project is reached. */
export class QuotaExceededError extends AppError {
  constructor(project: string, quota: string, limit: number, used: number, retryAfterMs: number) {
    super(
      'RESOURCE_EXHAUSTED',
      `project "${project}" uses ${used} of ${limit} (${quota}); try again later, or raise the quota`,
      {
        reason: 'QUOTA_EXCEEDED',
        metadata: { project, quota, limit: String(limit), used: String(used) },
        retryAfterMs,
      },
    );
  }
}

/** UNAVAILABLE: the event log does not answer. */
export class LogUnreachableError extends AppError {
  constructor(cause: unknown) {
    super('UNAVAILABLE', 'the event log cannot be reached', {
      reason: 'EVENT_LOG_UNREACHABLE',
      retryAfterMs: 1_000,
      cause,
    });
  }
}
