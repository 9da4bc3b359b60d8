import { type Attempt, AttemptState, FailureClass, RunState, StepState } from '@agentforge/contracts';
import { isTerminalRun, openAttempt, type StepRecord, stepsIn } from '@agentforge/events';
import {
  type Duration,
  durationFromMs,
  durationMs,
  type Timestamp,
  timestampMs,
} from '@bufbuild/protobuf/wkt';
import { failAttempt } from './fail-attempt.js';
import type { FailureInit, Transition } from './transition.js';

/** Longest silence of a worker when a step does not say. */
export const DEFAULT_HEARTBEAT_MS = 30_000;

/**
 * Longest wait of a task in its queue when a step does not say. Long enough for a busy queue over a weekend; a task whose
 * workers never come ends at last.
 */
export const DEFAULT_QUEUE_MS = 7 * 86_400_000;
const DEFAULT_QUEUE = durationFromMs(DEFAULT_QUEUE_MS);

/** Ends attempts that took too long or whose worker is silent, and steps that waited too long for a worker. */
export function decideTimeouts(transition: Transition): void {
  const { state } = transition;
  if (isTerminalRun(state.state)) return;
  for (const step of [...stepsIn(state, StepState.RUNNING)]) {
    const attempt = openAttempt(step);
    const failure = attempt && attemptTimeout(transition, step, attempt);
    if (attempt && failure) failAttempt(transition, step, attempt.id, failure);
  }
  if (state.state === RunState.PAUSED) return;
  for (const step of [...stepsIn(transition.state, StepState.READY)]) {
    const failure = waitTimeout(transition, step);
    if (failure) transition.emit({ case: 'stepFailed', value: { stepId: step.spec.id, failure } });
  }
}

function attemptTimeout(transition: Transition, step: StepRecord, attempt: Attempt): FailureInit | undefined {
  const { nowMs } = transition.context;
  const { timeouts } = step.spec;
  if (attempt.state === AttemptState.QUEUED) {
    const limit = timeouts?.scheduleToStart ?? DEFAULT_QUEUE;
    return isOver(nowMs, attempt.scheduleTime, limit) ? scheduleTimeout(limit) : undefined;
  }
  if (isOver(nowMs, attempt.startTime, timeouts?.startToClose))
    return timeout(
      `the attempt did not report within ${seconds(timeouts?.startToClose)}; raise timeouts.start_to_close or ask for less work`,
      'START_TO_CLOSE_TIMEOUT',
      'DEADLINE_EXCEEDED',
    );
  const heartbeatMs = timeouts?.heartbeat ? durationMs(timeouts.heartbeat) : DEFAULT_HEARTBEAT_MS;
  const signMs = Math.max(
    transition.context.lastSignMs(attempt.id),
    attempt.startTime ? timestampMs(attempt.startTime) : 0,
  );
  return nowMs - signMs > heartbeatMs
    ? timeout(
        `worker "${attempt.worker}" has been silent for ${heartbeatMs / 1_000} s`,
        'HEARTBEAT_TIMEOUT',
        'UNAVAILABLE',
      )
    : undefined;
}

/**
 * A READY step waits since it became ready again, its retry was due, or the run was resumed; without a limit of its own
 * for as long as slots and resources take.
 */
function waitTimeout(transition: Transition, step: StepRecord): FailureInit | undefined {
  const limit = step.spec.timeouts?.scheduleToStart;
  if (limit === undefined) return undefined;
  const { nowMs, waitingSinceMs } = transition.context;
  const times = [step.readyTime, step.nextAttemptTime].map((time) => (time ? timestampMs(time) : 0));
  return nowMs - Math.max(waitingSinceMs, ...times) > durationMs(limit) ? scheduleTimeout(limit) : undefined;
}

/** Not retried: another attempt would wait at the end of the same queue. */
const scheduleTimeout = (limit: Duration | undefined): FailureInit => ({
  code: 'DEADLINE_EXCEEDED',
  message: `no worker started the step within ${seconds(limit)}; start workers of the phase or raise timeouts.schedule_to_start`,
  reason: 'SCHEDULE_TO_START_TIMEOUT',
  failureClass: FailureClass.PERMANENT,
});

const timeout = (message: string, reason: string, code: string): FailureInit => ({
  code,
  message,
  reason,
  failureClass: FailureClass.TRANSIENT,
});

const isOver = (nowMs: number, since: Timestamp | undefined, limit: Duration | undefined): boolean =>
  since !== undefined && limit !== undefined && nowMs - timestampMs(since) > durationMs(limit);

const seconds = (limit: Duration | undefined): string => `${limit ? durationMs(limit) / 1_000 : 0} s`;
