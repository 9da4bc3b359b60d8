import { type RunEvent, RunState } from '@agentforge/contracts';
import { type RunRecord, stepOf } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { EnginePorts } from './engine-ports.js';

/** Writes what was committed to the log and the metrics. Called once for each batch, by the replica that decided it. */
export function record(events: readonly RunEvent[], state: RunRecord, ports: EnginePorts): void {
  for (const event of events) recordOne(event, state, ports);
}

function recordOne({ payload }: RunEvent, state: RunRecord, { logger, metrics }: EnginePorts): void {
  const runId = state.name;
  switch (payload.case) {
    case 'runCreated':
      logger.info('run.admitted', { runId, count: state.steps.length });
      return;
    case 'runPaused':
      logger.info('run.paused', { runId });
      return;
    case 'runResumed':
      logger.info('run.resumed', { runId });
      return;
    case 'runCompleted':
    case 'runFailed':
    case 'runCancelled': {
      const outcome = RunState[state.state] ?? '';
      metrics.counter('runsFinished').inc({ outcome });
      const reason = payload.case === 'runFailed' ? (payload.value.failure?.message ?? '') : '';
      logger.info('run.finished', { runId, outcome, ...(reason ? { reason } : {}) });
      return;
    }
    case 'stepScheduled': {
      const { stepId, attemptId, number } = payload.value;
      logger.debug('step.dispatched', { runId, stepId, attemptId, attempt: number });
      return;
    }
    case 'stepStarted': {
      const { stepId, attemptId, worker } = payload.value;
      logger.debug('step.started', { runId, stepId, attemptId, workerId: worker });
      waited(metrics, state, stepId, attemptId);
      return;
    }
    case 'stepAttemptFailed': {
      const { stepId, attemptId, failure, nextAttemptTime } = payload.value;
      const phase = stepOf(state, stepId)?.spec.phase ?? '';
      const reason = failure?.reason ?? '';
      finished(metrics, state, stepId, 'failed');
      if (nextAttemptTime) metrics.counter('stepRetries').inc({ phase, reason });
      logger.warn(nextAttemptTime ? 'step.retried' : 'step.failed', {
        runId,
        stepId,
        attemptId,
        reason,
        message: failure?.message ?? '',
      });
      return;
    }
    case 'stepCompleted':
      finished(metrics, state, payload.value.stepId, 'completed');
      logger.debug('step.finished', { runId, stepId: payload.value.stepId });
      return;
    case 'stepCacheHit': {
      const { stepId, sourceRun, sourceStepId } = payload.value;
      const phase = stepOf(state, stepId)?.spec.phase ?? '';
      metrics.counter('cacheLookups').inc({ phase, outcome: 'hit' });
      logger.info('step.reused', { runId, stepId, reason: `${sourceRun}/steps/${sourceStepId}` });
      return;
    }
    case 'stepCancelled':
      logger.info('step.cancelled', { runId, stepId: payload.value.stepId });
      return;
    case 'reportRefused': {
      const { stepId, attemptId, fencingToken, reason } = payload.value;
      logger.warn('step.fenced', { runId, stepId, attemptId, fencing: String(fencingToken), reason });
      return;
    }
    default:
  }
}

/** Time from READY until a worker has begun; an attempt that another worker takes over has waited once. */
function waited(metrics: EnginePorts['metrics'], state: RunRecord, stepId: string, attemptId: string): void {
  const step = stepOf(state, stepId);
  const attempt = step?.attempts.at(-1);
  if (!step?.readyTime || !attempt?.startTime || attempt.id !== attemptId || attempt.deliveries > 1) return;
  const seconds = (timestampMs(attempt.startTime) - timestampMs(step.readyTime)) / 1_000;
  // An attempt that began and failed in one batch has made its step READY again.
  if (seconds >= 0) metrics.histogram('stepSchedulingDelay').observe({ phase: step.spec.phase }, seconds);
}

function finished(metrics: EnginePorts['metrics'], state: RunRecord, stepId: string, outcome: string): void {
  const step = stepOf(state, stepId);
  const attempt = step?.attempts.at(-1);
  const phase = step?.spec.phase ?? '';
  metrics.counter('stepAttempts').inc({ phase, outcome });
  if (attempt?.startTime && attempt.endTime) {
    const seconds = (timestampMs(attempt.endTime) - timestampMs(attempt.startTime)) / 1_000;
    metrics.histogram('stepDuration').observe({ phase, outcome }, seconds);
  }
}
