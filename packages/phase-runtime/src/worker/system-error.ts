import { AppError } from '@agentforge/errors';
import type { ErrorMessage } from './error-message.js';

/** What the operating system says when something ran out. */
const EXHAUSTED: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOMEM: 'memory ran out',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open on this machine',
  ERR_WORKER_OUT_OF_MEMORY: 'the memory of the worker thread ran out',
};

/** A resource of the machine ran out. */
export class ResourceExhaustedError extends AppError {
  constructor(what: string, cause: unknown) {
    const detail = cause instanceof Error ? `: ${cause.message}` : '';
    super('RESOURCE_EXHAUSTED', `${what}${detail}`, { reason: 'MACHINE_EXHAUSTED', cause });
  }
}

/** Any thrown value as an AppError: exhausted disks and memory as RESOURCE_EXHAUSTED, the unknown as INTERNAL. */
export function toAppError(thrown: unknown): AppError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const exhausted = EXHAUSTED[code];
  if (exhausted) return new ResourceExhaustedError(exhausted, thrown);
  if (thrown instanceof RangeError && /array (buffer )?(allocation|length)/i.test(thrown.message)) {
    return new ResourceExhaustedError('memory ran out', thrown);
  }
  return AppError.from(thrown);
}

/** Any thrown value as a message to the host. */
export function describeError(thrown: unknown): ErrorMessage {
  const { name, code, message, reason, fieldViolations, stack } = toAppError(thrown);
  return { name, code, message, reason, fieldViolations, stack };
}
