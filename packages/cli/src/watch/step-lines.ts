import { type Attempt, AttemptState, FailureClass, type Step, StepState } from '@agentforge/contracts';
import { durationMs } from '@bufbuild/protobuf/wkt';
import type { Style } from '../output/style.js';
import { formatSeconds, shortDigest } from '../output/units.js';
import { printable } from '../output/width.js';

/** Defaults of the engine, as its README has them; what a step says itself is in its specification. */
const DEFAULTS = {
  attempts: 3,
  initialMs: 1_000,
  coefficient: 2,
  maxMs: 60_000,
  classes: 'transient, resource',
  scheduleToStart: '7d in the queue',
  heartbeatMs: 30_000,
} as const;

const CLASSES: Readonly<Record<FailureClass, string>> = {
  [FailureClass.UNSPECIFIED]: 'transient',
  [FailureClass.TRANSIENT]: 'transient',
  [FailureClass.PERMANENT]: 'permanent',
  [FailureClass.RESOURCE]: 'resource',
};

/** How a step came to its result when that was not the first attempt at its own work: failures, fallback, cache. */
export function drawHistory(step: Step, style: Style): string[] {
  const lines = step.attempts.flatMap((attempt) => failedLine(attempt));
  if (step.usedFallback) {
    const { fallbackCause: cause } = step;
    const because = cause ? `, because: ${cause.code}: ${cause.message}` : '';
    lines.push(`fallback ${step.fallback || 'of the phase'}${because}`);
  }
  const warnings = lines.map((line) => style.yellow(printable(line)));
  if (!step.cachedFrom) return warnings;
  const { sourceRun, sourceStepId, key } = step.cachedFrom;
  const origin = `result of ${sourceStepId} in ${sourceRun} · key ${shortDigest(key)}`;
  return [...warnings, style.dim(printable(origin))];
}

function failedLine({ number, failure, state }: Attempt): string[] {
  if (!failure || state !== AttemptState.FAILED) return [];
  const reason = failure.reason && failure.reason !== failure.code ? ` ${failure.reason}` : '';
  return [
    `attempt ${number} failed (${CLASSES[failure.failureClass] ?? 'transient'}): ${failure.code}${reason}: ${failure.message}`,
  ];
}

/** What holds for attempts of a step that has not completed: retries and limits, with the engine's defaults. */
export function drawPolicy({ spec, state }: Step, style: Style): string[] {
  if (state === StepState.COMPLETED || state === StepState.SKIPPED || !spec) return [];
  const { retry, timeouts } = spec;
  const seconds = (time: Parameters<typeof durationMs>[0] | undefined, standardMs: number) =>
    formatSeconds((time ? durationMs(time) : standardMs) / 1_000);
  const classes = retry?.retryClasses.map((value) => CLASSES[value] ?? '').join(', ') || DEFAULTS.classes;
  const except = retry?.nonRetryableReasons.length ? ` except ${retry.nonRetryableReasons.join(', ')}` : '';
  const wait = seconds(retry?.initialInterval, DEFAULTS.initialMs);
  const factor = retry?.backoffCoefficient || DEFAULTS.coefficient;
  const most = seconds(retry?.maxInterval, DEFAULTS.maxMs);
  const start = timeouts?.scheduleToStart ? seconds(timeouts.scheduleToStart, 0) : DEFAULTS.scheduleToStart;
  const close = timeouts?.startToClose ? seconds(timeouts.startToClose, 0) : 'none';
  return [
    `retry ${retry?.maxAttempts || DEFAULTS.attempts} attempts · waits ${wait} ×${factor} up to ${most} · ${classes}${except}`,
    `limits start ${start} · run ${close} · silence ${seconds(timeouts?.heartbeat, DEFAULTS.heartbeatMs)}`,
  ].map((line) => style.dim(printable(line)));
}
