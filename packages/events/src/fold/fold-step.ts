import {
  type Attempt,
  AttemptSchema,
  AttemptState,
  CacheOriginSchema,
  FailureClass,
  FailureSchema,
  RunState,
  type StepAttemptFailed,
  type StepCacheHit,
  type StepScheduled,
  StepState,
} from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { IllegalTransitionError } from '../events.errors.js';
import { PositionSet } from './position-set.js';
import {
  isLostForDependents,
  isWhole,
  openAttempt,
  RELEASED_REASON,
  type RunDraft,
  type RunRecord,
  refusalKey,
  type StepRecord,
  satisfiesDependents,
  stepOf,
} from './run-record.js';
import { STEP_TRANSITIONS, type StepPayload } from './transitions.js';

/** Refused reports that a step remembers; older ones are in the log. */
const MAX_REFUSALS = 64;

/** Changes a draft of a run as an event about one of its steps says. @throws IllegalTransitionError FAILED_PRECONDITION */
export function foldStepEvent(run: RunDraft, payload: StepPayload, time: Timestamp): void {
  const { stepId } = payload.value;
  const fail = (problem: string): never => {
    throw new IllegalTransitionError(run.name, payload.case, problem, stepId);
  };
  const step = stepOf(run, stepId) ?? fail('no such step');
  const { runStates, from, to } = STEP_TRANSITIONS[payload.case];
  if (!runStates.includes(run.state)) fail(`the run is ${RunState[run.state]}`);
  if (!from.includes(step.state)) fail(`the step is ${StepState[step.state]}`);
  const state = to === 'unchanged' ? step.state : to;
  const changed = apply(run, { ...step, state }, payload, time, fail);
  replaceStep(run, step, changed);
  if (payload.case === 'stepScheduled') {
    run.state = RunState.RUNNING;
    run.wasScheduled = true;
  } else if (payload.case === 'stepCacheHit') {
    run.state = RunState.RUNNING;
    run.wasScheduled = true;
    run.startTime ??= time;
  } else if (payload.case === 'stepStarted') run.startTime ??= time;
}

type Fail = (problem: string) => never;

function apply(
  run: RunRecord,
  step: StepRecord,
  payload: StepPayload,
  time: Timestamp,
  fail: Fail,
): StepRecord {
  switch (payload.case) {
    case 'stepReady':
      if (!isWhole(run)) fail('steps are still to be added');
      if (step.unmetDependencies > 0) fail(`${step.unmetDependencies} dependencies are not complete`);
      return { ...step, readyTime: time };
    case 'stepScheduled':
      return schedule(step, payload.value, time, fail);
    case 'stepStarted': {
      const attempt = requireOpen(step, payload.value.attemptId, fail);
      return withAttempt(step, {
        ...attempt,
        state: AttemptState.STARTED,
        worker: payload.value.worker,
        startTime: attempt.startTime ?? time,
        deliveries: attempt.deliveries + 1,
      });
    }
    case 'stepCheckpointed': {
      const attempt = requireOpen(step, payload.value.attemptId, fail);
      const checkpoint = payload.value.checkpoint ?? fail('no checkpoint');
      const checkpointSequence = payload.value.sequence || attempt.checkpointSequence;
      return { ...withAttempt(step, { ...attempt, checkpoint, checkpointSequence }), checkpoint };
    }
    case 'stepReported': {
      const attempt = requireOpen(step, payload.value.attemptId, fail);
      const reported = payload.value.result ?? fail('no result');
      return { ...withAttempt(step, { ...attempt, state: AttemptState.SUCCEEDED, endTime: time }), reported };
    }
    case 'stepAttemptFailed':
      return failAttempt(step, payload.value, time, fail);
    case 'stepCompleted':
      return { ...step, result: step.reported, verdicts: payload.value.verdicts };
    case 'stepFailed':
      return { ...step, failure: payload.value.failure, nextAttemptTime: undefined };
    case 'stepFallbackUsed':
      if (!payload.value.fallback) fail('no fallback is named');
      if (step.fallback) fail(`fallback ${step.fallback} was used already`);
      if (!step.isExhausted) fail('another attempt may follow');
      return {
        ...step,
        fallback: payload.value.fallback,
        fallbackCause: payload.value.failure,
        isExhausted: false,
        readyTime: time,
        checkpoint: undefined,
      };
    case 'stepSkipped':
      if (step.attempts.length > 0 && step.isExhausted) fail('its attempts failed');
      return { ...step, nextAttemptTime: undefined };
    case 'stepBlocked':
      return block(run, step, payload.value.causeStepId, fail);
    case 'stepCancelled':
      return cancel(step, time);
    case 'stepCacheHit':
      return takeOver(step, payload.value, fail);
    case 'reportRefused': {
      const { attemptId, fencingToken, report } = payload.value;
      const key = refusalKey(attemptId, fencingToken, report);
      if (step.refusals.includes(key)) return step;
      return { ...step, refusals: [...step.refusals, key].slice(-MAX_REFUSALS) };
    }
    default:
      return unreachable(payload);
  }
}

function schedule(step: StepRecord, event: StepScheduled, time: Timestamp, fail: Fail): StepRecord {
  const { attemptId, number, fencingToken, checkpoint, lease, phaseVersion } = event;
  if (step.isExhausted) fail('no attempt may follow');
  if (number !== step.attempts.length + 1) fail(`attempt ${number} after ${step.attempts.length}`);
  if (fencingToken <= step.fencingToken) fail(`token ${fencingToken} is not above ${step.fencingToken}`);
  if (!attemptId || step.attempts.some(({ id }) => id === attemptId))
    fail(`attempt id "${attemptId}" is not new`);
  const attempt = create(AttemptSchema, {
    id: attemptId,
    number,
    fencingToken,
    state: AttemptState.QUEUED,
    scheduleTime: time,
    phaseVersion,
    ...(checkpoint ? { checkpoint } : {}),
    ...(lease ? { lease } : {}),
  });
  return {
    ...step,
    attempts: [...step.attempts, attempt],
    fencingToken,
    nextAttemptTime: undefined,
    reported: undefined,
    failure: undefined,
    verdicts: [],
  };
}

function failAttempt(step: StepRecord, event: StepAttemptFailed, time: Timestamp, fail: Fail): StepRecord {
  const attempt = step.attempts.at(-1);
  if (!attempt || attempt.id !== event.attemptId)
    return fail(`attempt ${event.attemptId} is not the current one`);
  const failure = event.failure ?? fail('no failure');
  const isRelease = failure.reason === RELEASED_REASON;
  const ended = {
    ...attempt,
    state: isRelease ? AttemptState.CANCELLED : AttemptState.FAILED,
    endTime: time,
    failure,
  };
  return {
    ...withAttempt(step, ended),
    readyTime: time,
    nextAttemptTime: event.nextAttemptTime,
    isExhausted: !isRelease && event.nextAttemptTime === undefined,
    failedAttempts: step.failedAttempts + (isRelease ? 0 : 1),
    releases: step.releases + (isRelease ? 1 : 0),
    reported: undefined,
    verdicts: event.verdicts,
  };
}

/** An earlier result takes the place of the step's work. Not once the work was given up or its fallback chosen. */
function takeOver(step: StepRecord, event: StepCacheHit, fail: Fail): StepRecord {
  const { key, sourceRun, sourceStepId } = event;
  const result = event.result ?? fail('no result');
  if (!key || !sourceRun || !sourceStepId) fail('no key or no source');
  if (step.isExhausted) fail('its attempts failed');
  if (step.fallback) fail(`fallback ${step.fallback} takes its place`);
  const cachedFrom = create(CacheOriginSchema, { key, sourceRun, sourceStepId });
  return {
    ...step,
    result,
    cachedFrom,
    checkpoint: undefined,
    nextAttemptTime: undefined,
    reported: undefined,
    failure: undefined,
    verdicts: [],
  };
}

function block(run: RunRecord, step: StepRecord, causeStepId: string, fail: Fail): StepRecord {
  if (!run.positions.has(causeStepId)) fail(`unknown cause ${causeStepId}`);
  if (step.lostDependency === undefined) fail('none of its dependencies failed');
  const failure = create(FailureSchema, {
    code: 'FAILED_PRECONDITION',
    reason: 'DEPENDENCY_FAILED',
    message: `Step ${causeStepId}, which this step depends on, did not complete.`,
    failureClass: FailureClass.PERMANENT,
  });
  return { ...step, failure };
}

function cancel(step: StepRecord, time: Timestamp): StepRecord {
  const attempt = openAttempt(step);
  const ended = attempt
    ? withAttempt(step, { ...attempt, state: AttemptState.CANCELLED, endTime: time })
    : step;
  return { ...ended, nextAttemptTime: undefined, reported: undefined };
}

function requireOpen(step: StepRecord, attemptId: string, fail: Fail): Attempt {
  const attempt = openAttempt(step);
  if (!attempt || attempt.id !== attemptId) return fail(`attempt ${attemptId} is not the current one`);
  return attempt;
}

function withAttempt(step: StepRecord, attempt: Attempt): StepRecord {
  return { ...step, attempts: [...step.attempts.slice(0, -1), attempt] };
}

/** Puts a changed step in its place: the indices follow, and dependents learn of a completed dependency. */
function replaceStep(run: RunDraft, before: StepRecord, after: StepRecord): void {
  run.steps = run.steps.with(after.position, after);
  if (before.state === after.state) return;
  const { byState } = run;
  byState.set(before.state, (byState.get(before.state) ?? PositionSet.EMPTY).without(after.position));
  byState.set(after.state, (byState.get(after.state) ?? PositionSet.EMPTY).with(after.position));
  const isMet = satisfiesDependents(after.state);
  if (!isMet && !isLostForDependents(after.state)) return;
  for (const id of after.dependents) {
    const dependent = run.steps.at(run.positions.get(id) ?? -1);
    if (!dependent) continue;
    const { unmetDependencies, lostDependency = after.spec.id } = dependent;
    const change = isMet ? { unmetDependencies: unmetDependencies - 1 } : { lostDependency };
    run.steps = run.steps.with(dependent.position, { ...dependent, ...change });
  }
}

function unreachable(payload: never): never {
  throw new TypeError(`no rule for ${JSON.stringify(payload)}`);
}
