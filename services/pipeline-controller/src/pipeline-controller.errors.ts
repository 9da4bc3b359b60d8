import { AppError, type FieldViolation } from '@agentforge/errors';
import type { FilterProblem } from './domain/filter.js';

/** INVALID_ARGUMENT: fields of a request are malformed. */
export class InvalidRequestError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', violations.map((v) => `${v.field} ${v.description}`).join('; '), {
      reason: 'INVALID_REQUEST',
      fieldViolations: violations,
    });
  }
}

/** INVALID_ARGUMENT: a filter cannot be understood; every problem is in the details with its position. */
export class InvalidFilterError extends InvalidRequestError {
  constructor(problems: readonly FilterProblem[]) {
    super(
      problems.map(({ position, problem }) => ({
        field: 'filter',
        description: `at character ${position + 1}: ${problem}`,
      })),
    );
  }
}

/** NOT_FOUND: no such run. */
export class RunNotFoundError extends AppError {
  constructor(name: string) {
    super('NOT_FOUND', `there is no run "${name}"`, { reason: 'RUN_NOT_FOUND', metadata: { run: name } });
  }
}

/** NOT_FOUND: no such phase is installed. */
export class PhaseNotFoundError extends AppError {
  constructor(phase: string, known: readonly string[]) {
    const list = known.length > 0 ? `installed: ${known.join(', ')}` : 'none is installed';
    super('NOT_FOUND', `there is no phase "${phase.slice(0, 80)}"; ${list}`, {
      reason: 'PHASE_NOT_FOUND',
      metadata: { phase: phase.slice(0, 80) },
    });
  }
}

/** ALREADY_EXISTS: a request id was used for another run. */
export class RequestIdReusedError extends AppError {
  constructor(requestId: string, run: string) {
    super('ALREADY_EXISTS', `request id "${requestId}" created the run "${run}"; use a new request id`, {
      reason: 'REQUEST_ID_REUSED',
      metadata: { run },
      fieldViolations: [{ field: 'request_id', description: `created "${run}" before` }],
    });
  }
}

/** NOT_FOUND: no stored content has this digest. */
export class ArtifactNotFoundError extends AppError {
  constructor(digest: string) {
    super('NOT_FOUND', `there is no artifact "${digest}"`, {
      reason: 'ARTIFACT_NOT_FOUND',
      metadata: { digest },
    });
  }
}

/** FAILED_PRECONDITION: sending a dead letter again would be of no use. */
export class RedriveRefusedError extends AppError {
  constructor(sequence: number, why: string) {
    super('FAILED_PRECONDITION', `dead letter ${sequence} is not sent again: ${why}; delete it`, {
      reason: 'NOT_REDRIVABLE',
      metadata: { sequence: String(sequence) },
    });
  }
}

/** UNAVAILABLE: the stream ends because the service stops; watch again from the last revision. */
export class WatchInterruptedError extends AppError {
  constructor(run: string, revision: bigint) {
    super('UNAVAILABLE', `the service is stopping; watch "${run}" again after revision ${revision}`, {
      reason: 'SERVICE_STOPPING',
      metadata: { run, revision: String(revision) },
      retryAfterMs: 1_000,
    });
  }
}
