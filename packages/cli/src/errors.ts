import { AppError, type FieldViolation } from '@agentforge/errors';
import { EXIT, type ExitCode } from './exit-code.js';
import type { SpecProblem } from './spec/problem.js';

/** The command line cannot be understood, or a setting is wrong. */
export class UsageError extends AppError {
  constructor(message: string, fieldViolations: readonly FieldViolation[] = []) {
    super('INVALID_ARGUMENT', message, { reason: 'USAGE', fieldViolations });
  }
}

/** A specification has problems; all of them are here. */
export class InvalidSpecError extends AppError {
  constructor(
    readonly file: string,
    readonly problems: readonly SpecProblem[],
    /** Text of the specification, to show the lines in question. */
    readonly text: string,
  ) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    super('INVALID_ARGUMENT', `${file}: ${count} in the specification`, {
      reason: 'INVALID_SPEC',
      fieldViolations: problems.map((problem) => ({ field: problem.path, description: problem.message })),
    });
  }
}

/** No server is configured and none was found. */
export class NoServerError extends AppError {
  constructor() {
    super(
      'UNAVAILABLE',
      'no server: start one with "forge dev", or name one with --server HOST:PORT, FORGE_SERVER or a profile',
      { reason: 'NO_SERVER' },
    );
  }
}

/** A run that was waited for did not complete; why is in the run, which has been printed. */
export class RunNotCompletedError extends AppError {
  constructor(name: string, state: string) {
    super('ABORTED', `${name} ended as ${state}`, { reason: 'RUN_FAILED' });
  }
}

/** Ctrl-C or SIGTERM. */
export class InterruptedError extends AppError {
  constructor(readonly signal: 'SIGINT' | 'SIGTERM') {
    super('CANCELLED', signal === 'SIGINT' ? 'interrupted' : 'terminated', { reason: signal });
  }
}

/** A check found something wrong; what it found has been printed. */
export class CheckFailedError extends AppError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message, { reason: 'CHECK_FAILED' });
  }
}

/** The exit code that belongs to an error. Total. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InterruptedError) {
    return error.signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
  }
  return AppError.from(error).code === 'INVALID_ARGUMENT' ? EXIT.usage : EXIT.failed;
}
