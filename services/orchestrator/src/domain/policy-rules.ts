import type { GraphDraft, GraphLimits, RetryDraft, TimeoutsDraft, Violation } from './graph.js';
import { FAILURE_CLASSES } from './retry-policy.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Reasons that a policy may list, and how they look. */
const MAX_REASONS = 32;
const REASON = /^[A-Z][A-Z0-9_]{0,62}$/;

/** Bounds of times, in milliseconds. The longest ones keep a typo from holding a slot for a season. */
const BOUNDS = {
  initialInterval: [0, HOUR_MS],
  maxInterval: [0, DAY_MS],
  scheduleToStart: [1, 30 * DAY_MS],
  startToClose: [1, 30 * DAY_MS],
  heartbeat: [1_000, HOUR_MS],
  deadline: [1, 365 * DAY_MS],
} as const;

/** What is wrong with the numbers of a graph: parallelism, deadline, retry policies, timeouts. */
export function policyViolations(graph: GraphDraft, limits: GraphLimits): Violation[] {
  return [
    ...range('max_parallel_steps', graph.maxParallelSteps, 0, limits.maxParallelSteps),
    ...range('priority', graph.priority, -1_000, 1_000),
    ...time('deadline', graph.deadlineMs, BOUNDS.deadline),
    ...graph.steps.flatMap((step, i) => [
      ...(step.retry ? retryViolations(step.retry, `steps[${i}].retry`) : []),
      ...(step.timeouts ? timeoutViolations(step.timeouts, `steps[${i}].timeouts`) : []),
    ]),
  ];
}

/** Zero means the default in `maxAttempts` and `backoffCoefficient`. */
function retryViolations(retry: RetryDraft, path: string): Violation[] {
  return [
    ...range(`${path}.max_attempts`, retry.maxAttempts, 0, 100),
    ...time(`${path}.initial_interval`, retry.initialIntervalMs, BOUNDS.initialInterval),
    ...(retry.backoffCoefficient === 0
      ? []
      : range(`${path}.backoff_coefficient`, retry.backoffCoefficient, 1, 100)),
    ...time(`${path}.max_interval`, retry.maxIntervalMs, BOUNDS.maxInterval),
    ...(retry.jitter === undefined ? [] : range(`${path}.jitter`, retry.jitter, 0, 1)),
    ...reasonViolations(retry, path),
  ];
}

/** Classes that are known, reasons as failures carry them. */
function reasonViolations(
  { retryClasses = [], nonRetryableReasons = [] }: RetryDraft,
  path: string,
): Violation[] {
  const violations: Violation[] = retryClasses.flatMap((name, i) =>
    name === undefined
      ? [
          {
            field: `${path}.retry_classes[${i}]`,
            description: `is unknown; use ${FAILURE_CLASSES.join(', ')}`,
          },
        ]
      : [],
  );
  if (nonRetryableReasons.length > MAX_REASONS)
    violations.push({
      field: `${path}.non_retryable_reasons`,
      description: `has ${nonRetryableReasons.length} entries; at most ${MAX_REASONS}`,
    });
  nonRetryableReasons.slice(0, MAX_REASONS).forEach((reason, i) => {
    if (REASON.test(reason)) return;
    violations.push({
      field: `${path}.non_retryable_reasons[${i}]`,
      description: `is ${JSON.stringify(reason.slice(0, 80))}; must be as failures carry it, for example "OUT_OF_MEMORY"`,
    });
  });
  return violations;
}

function timeoutViolations(timeouts: TimeoutsDraft, path: string): Violation[] {
  return [
    ...time(`${path}.schedule_to_start`, timeouts.scheduleToStartMs, BOUNDS.scheduleToStart),
    ...time(`${path}.start_to_close`, timeouts.startToCloseMs, BOUNDS.startToClose),
    ...time(`${path}.heartbeat`, timeouts.heartbeatMs, BOUNDS.heartbeat),
  ];
}

/** Written so that NaN is outside. */
function range(field: string, value: number, min: number, max: number): Violation[] {
  return value >= min && value <= max
    ? []
    : [{ field, description: `is ${value}; must be ${min} to ${max}` }];
}

function time(field: string, ms: number | undefined, [min, max]: readonly [number, number]): Violation[] {
  if (ms === undefined || (ms >= min && ms <= max)) return [];
  return [{ field, description: `is ${ms / 1_000}s; must be ${min / 1_000}s to ${max / 1_000}s` }];
}
