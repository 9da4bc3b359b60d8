import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** A path that leads to no file or folder. */
export class CorpusNotFoundError extends AppError {
  constructor(path: string) {
    super('NOT_FOUND', `corpus ${path} does not exist`, {
      reason: 'CORPUS_NOT_FOUND',
      fieldViolations: [{ field: path, description: 'no such file or folder' }],
    });
  }
}

/** Files that cannot be read as text. Lists every one of them. */
export class UnreadableCorpusError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `corpus cannot be read: ${summarize(violations)}`, {
      reason: 'UNREADABLE_CORPUS',
      fieldViolations: violations,
    });
  }
}

/** A corpus without a single character of text. */
export class EmptyCorpusError extends AppError {
  constructor(files: number, extensions: readonly string[]) {
    const found =
      files === 0 ? `no file ending in ${extensions.join(', ')}` : `${files} files, all without text`;
    super('INVALID_ARGUMENT', `corpus is empty: ${found}`, {
      reason: 'EMPTY_CORPUS',
      fieldViolations: [{ field: 'corpus', description: found }],
    });
  }
}

/** A corpus larger than the limit the caller set. */
export class CorpusTooLargeError extends AppError {
  constructor(sizeBytes: number, maxBytes: number) {
    super('INVALID_ARGUMENT', `corpus has at least ${sizeBytes} bytes; the limit is ${maxBytes}`, {
      reason: 'CORPUS_TOO_LARGE',
      fieldViolations: [{ field: 'corpus', description: `${sizeBytes} bytes is above ${maxBytes}` }],
    });
  }
}

/** A corpus, or a split of it, with fewer tokens than one batch takes. */
export class CorpusTooSmallError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `corpus is too small: ${summarize(violations)}`, {
      reason: 'CORPUS_TOO_SMALL',
      fieldViolations: violations,
    });
  }
}
