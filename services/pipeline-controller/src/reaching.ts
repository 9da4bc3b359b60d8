import { AppError } from '@agentforge/errors';

/** Errors of the connection itself say nothing to callers; all mean that the streams cannot be reached now. */
export function reaching<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    if (error instanceof AppError) throw error;
    throw new AppError('UNAVAILABLE', 'the streams cannot be reached', {
      reason: 'STREAMS_UNREACHABLE',
      retryAfterMs: 1_000,
      cause: error,
    });
  });
}
