/** A retry policy with every field set. Times in milliseconds. */
export interface RetryPolicy {
  /** Attempts in all, at least 1. */
  readonly maxAttempts: number;
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maxIntervalMs: number;
  /** Share of a wait that is random, 0 to 1. */
  readonly jitter: number;
  /** Classes of failure that another attempt follows. */
  readonly retryClasses: readonly FailureClassName[];
  /** Reasons that no attempt follows, whatever the class. */
  readonly nonRetryableReasons: readonly string[];
}

/** What a failure says about itself. */
export interface FailureFacts {
  readonly failureClass: FailureClassName;
  /** Upper snake case: "OUT_OF_MEMORY". */
  readonly reason: string;
}

/** What an absent policy means. */
export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maxIntervalMs: 60_000,
  jitter: 0.2,
  retryClasses: ['transient', 'resource'],
  nonRetryableReasons: [],
};

/** Whether and how fast to try again after a failure. */
export const FAILURE_CLASSES = ['transient', 'permanent', 'resource'] as const;
/** One of {@link FAILURE_CLASSES}. */
export type FailureClassName = (typeof FAILURE_CLASSES)[number];

/** A wait for a resource is this many times longer: memory and disk come back slower than a connection. */
const RESOURCE_FACTOR = 4;

/**
 * Wait before the next attempt, or undefined when there is none.
 * The random share comes from the attempt's id, so that every replica and every replay computes the same wait.
 * @param failed     attempts that failed so far, this one included; at least 1
 * @param failure    why this one did
 * @param attemptId  the attempt that failed
 */
export function retryDelayMs(
  policy: RetryPolicy,
  failed: number,
  failure: FailureFacts,
  attemptId: string,
): number | undefined {
  if (failed >= policy.maxAttempts || !isRetryable(policy, failure)) return undefined;
  const factor = failure.failureClass === 'resource' ? RESOURCE_FACTOR : 1;
  const grown = policy.initialIntervalMs * policy.backoffCoefficient ** (failed - 1) * factor;
  const wait = Math.min(grown, policy.maxIntervalMs);
  return Math.round(wait * (1 - policy.jitter * fractionOf(attemptId)));
}

/** Whether the policy lets another attempt follow a failure, however many there were. */
export function isRetryable(policy: RetryPolicy, { failureClass, reason }: FailureFacts): boolean {
  return policy.retryClasses.includes(failureClass) && !policy.nonRetryableReasons.includes(reason);
}

/** A number in [0, 1) that depends on the text only. FNV-1a, 32 bit, with a final avalanche (murmur3's). */
export function fractionOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
