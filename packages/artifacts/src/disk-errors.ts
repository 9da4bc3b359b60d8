import { InsufficientStorageError } from './artifact.errors.js';

/** No space, quota used up, and larger than the process may write. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A failure of the file system as one of ours when it is about space; others unchanged. */
export function asStorageError(error: unknown): unknown {
  return FULL.has(codeOf(error)) ? new InsufficientStorageError(error) : error;
}

/** Whether a file or folder is not there. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

/** The system's code of an error, or an empty text. */
export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
