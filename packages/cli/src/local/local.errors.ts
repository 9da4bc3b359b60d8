import { AppError, type FieldViolation } from '@agentforge/errors';

/** Another process uses the data folder. */
export class DataFolderHeldError extends AppError {
  constructor(dataDir: string, pid: number, command: string) {
    super(
      'FAILED_PRECONDITION',
      `${dataDir} is in use by process ${pid} (${command}); stop it, or choose another folder with --data`,
      { reason: 'DATA_FOLDER_HELD', metadata: { pid: String(pid), dataDir } },
    );
  }
}

/** A local process does not start, or dies again and again. */
export class LocalProcessError extends AppError {
  constructor(name: string, what: string, logFile: string, tail: string) {
    const lines = tail.trim() === '' ? '' : `\n${tail.trim().replace(/^/gm, '  ')}`;
    super('UNAVAILABLE', `${name} ${what}; its log is ${logFile}${lines}`, {
      reason: 'LOCAL_PROCESS_FAILED',
    });
  }
}

/** A program that the local mode needs is not installed. */
export class ProgramMissingError extends AppError {
  constructor(program: string, hint: string) {
    super('FAILED_PRECONDITION', `${program} is not installed: ${hint}`, { reason: 'PROGRAM_MISSING' });
  }
}

/** The services are not built. */
export class NotBuiltError extends AppError {
  constructor(file: string) {
    super('FAILED_PRECONDITION', `${file} is missing; build the workspace first: pnpm build`, {
      reason: 'NOT_BUILT',
    });
  }
}

/** Services or numbers of replicas that local mode cannot start. */
export class InvalidCompositionError extends AppError {
  constructor(problems: readonly FieldViolation[]) {
    const text = problems.map(({ field, description }) => `"${field}" ${description}`).join('; ');
    super('INVALID_ARGUMENT', text, { reason: 'INVALID_COMPOSITION', fieldViolations: problems });
  }
}
