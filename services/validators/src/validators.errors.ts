import { AppError } from '@agentforge/errors';

/** INVALID_ARGUMENT: the request does not say which phase the artifacts belong to. */
export class MissingPhaseError extends AppError {
  constructor() {
    super('INVALID_ARGUMENT', 'the request names no phase', {
      reason: 'MISSING_PHASE',
      fieldViolations: [{ field: 'phase.name', description: 'is empty; set the descriptor of the phase' }],
    });
  }
}

/** INVALID_ARGUMENT: there is nothing to judge. */
export class MissingResultError extends AppError {
  constructor() {
    super('INVALID_ARGUMENT', 'the request carries no result', {
      reason: 'MISSING_RESULT',
      fieldViolations: [{ field: 'result', description: 'is missing; set what the step delivered' }],
    });
  }
}

/** NOT_FOUND: no gates are known for a phase. */
export class NoGatesError extends AppError {
  constructor(phase: string, known: readonly string[]) {
    super('NOT_FOUND', `no gates are known for phase "${phase}"; known: ${known.join(', ')}`, {
      reason: 'NO_GATES',
      metadata: { phase },
    });
  }
}
