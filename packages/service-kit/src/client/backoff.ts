import { AppError } from '@agentforge/errors';
import { type DescMethod } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import type { RetryPolicy } from './client-types.js';

/** A retry policy with every value set. */
export type FullRetryPolicy = Required<RetryPolicy>;

/** Fills the gaps of a policy. */
export function completePolicy(policy: RetryPolicy = {}): FullRetryPolicy {
  return { attempts: 4, initialBackoffMs: 100, maxBackoffMs: 2000, ...policy };
}

/** Whether a method is declared to be safe to repeat. */
export function isIdempotent(method: DescMethod): boolean {
  return method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}

/**
 * Whether a failed try may be repeated: only UNAVAILABLE, only methods declared idempotent, only
 * while tries are left.
 * @param attempt  number of the try that failed, from 1
 */
export function mayRetry(
  method: DescMethod,
  error: AppError,
  attempt: number,
  policy: FullRetryPolicy,
): boolean {
  return error.code === 'UNAVAILABLE' && isIdempotent(method) && attempt < policy.attempts;
}

/**
 * Wait before the next try: what the server asked for, otherwise a random part of an exponentially
 * growing bound ("full jitter"), so that callers do not return in step.
 * @param attempt  number of the try that failed, from 1
 * @param random   in [0, 1)
 * @returns ms
 */
export function backoffMs(
  error: AppError,
  attempt: number,
  policy: FullRetryPolicy,
  random = Math.random(),
): number {
  const bound = Math.min(policy.maxBackoffMs, policy.initialBackoffMs * 2 ** (attempt - 1));
  return Math.max(error.retryAfterMs ?? 0, random * bound);
}

/** Waits, or rejects with the reason as soon as the signal aborts. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}
