import { type RunEvent, type RunRetried, RunState, type StepSpec, StepState } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { EventLogGapError, IllegalTransitionError } from '../events.errors.js';
import { foldStepEvent } from './fold-step.js';
import { addSteps, checkRetryClosure, resetSteps } from './graph.js';
import { PersistentList } from './persistent-list.js';
import { countIn, draftOf, isTerminalStep, isWhole, type RunDraft, type RunRecord } from './run-record.js';
import { RUN_TRANSITIONS, type RunLevelCase, type StepPayload } from './transitions.js';

/** Events that were committed together. */
export interface EventBatch {
  readonly run: string;
  readonly events: readonly RunEvent[];
  /** Revision of the run before them; absent when their writer did not say. */
  readonly previousRevision?: bigint | undefined;
}

/**
 * The state of a run after one more batch of its log. Pure: the same log gives the same state, and the state
 * before is not changed, so it stays good when the batch is refused.
 * @param state     undefined before the first batch
 * @param revision  sequence of the batch; above that of the state
 * @throws IllegalTransitionError  FAILED_PRECONDITION: the state does not allow an event
 * @throws EventLogGapError  DATA_LOSS: the batch follows another one than the state does
 */
export function foldRun(state: RunRecord | undefined, batch: EventBatch, revision: bigint): RunRecord {
  if (state && batch.run !== state.name)
    throw new IllegalTransitionError(state.name, 'batch', `it belongs to ${batch.run}`);
  if (state && revision <= state.revision)
    throw new IllegalTransitionError(state.name, 'batch', `revision ${revision} after ${state.revision}`);
  const { previousRevision } = batch;
  const known = state?.revision ?? 0n;
  if (previousRevision !== undefined && previousRevision !== known)
    throw new EventLogGapError(batch.run, revision, previousRevision, known);
  let draft = state && draftOf(state);
  for (const event of batch.events) draft = applyEvent(draft, batch.run, event);
  if (!draft || batch.events.length === 0)
    throw new IllegalTransitionError(batch.run, 'batch', 'it has no events');
  draft.revision = revision;
  return draft;
}

/** The state after one event; the revision stays. @throws IllegalTransitionError FAILED_PRECONDITION */
export function foldEvent(state: RunRecord | undefined, run: string, event: RunEvent): RunRecord {
  return applyEvent(state && draftOf(state), run, event);
}

/** Changes a draft, or makes the first one. A draft that an event is refused for is of no use any more. */
function applyEvent(draft: RunDraft | undefined, run: string, event: RunEvent): RunDraft {
  const { payload } = event;
  const time = event.time ?? EPOCH;
  if (draft?.quarantine)
    throw new IllegalTransitionError(run, payload.case ?? 'unknown', 'it is quarantined');
  if (payload.case === undefined)
    throw new IllegalTransitionError(run, 'unknown', 'this kind of event is not known');
  if (payload.case === 'runCreated') {
    if (draft) throw new IllegalTransitionError(run, payload.case, 'the run exists');
    return draftOf(createRun(run, payload.value, time));
  }
  if (!draft) throw new IllegalTransitionError(run, payload.case, 'the run does not exist');
  const next = isRunPayload(payload) ? draftOf(foldRunEvent(draft, payload, time)) : draft;
  if (!isRunPayload(payload)) foldStepEvent(draft, payload, time);
  next.eventCount += 1n;
  return next;
}

type RunPayload = Extract<RunEvent['payload'], { case: RunLevelCase }>;

const EPOCH: Timestamp = create(TimestampSchema);

function isRunPayload(payload: RunPayload | StepPayload): payload is RunPayload {
  return Object.hasOwn(RUN_TRANSITIONS, payload.case);
}

/** A run of which nothing is known but its name. */
export function blankRun(name: string, time: Timestamp): RunRecord {
  return {
    name,
    displayName: '',
    labels: {},
    seed: 0n,
    maxParallelSteps: 0,
    priority: 0,
    deadline: undefined,
    deadlineFrom: time,
    state: RunState.PENDING,
    steps: PersistentList.from([]),
    createTime: time,
    startTime: undefined,
    endTime: undefined,
    failure: undefined,
    cancelReason: '',
    requestId: '',
    requestDigest: '',
    schedule: '',
    totalSteps: 0,
    wasScheduled: false,
    revision: 0n,
    eventCount: 0n,
    quarantine: undefined,
    positions: new Map(),
    byState: new Map(),
  };
}

function createRun(
  name: string,
  created: Extract<RunEvent['payload'], { case: 'runCreated' }>['value'],
  time: Timestamp,
): RunRecord {
  const { graph } = created;
  if (!graph || graph.steps.length === 0) throw new IllegalTransitionError(name, 'runCreated', 'no steps');
  if (created.totalSteps !== 0 && created.totalSteps < graph.steps.length)
    throw new IllegalTransitionError(name, 'runCreated', `more than its ${created.totalSteps} steps`);
  const empty: RunRecord = {
    ...blankRun(name, time),
    displayName: created.displayName,
    labels: created.labels,
    seed: graph.seed,
    maxParallelSteps: graph.maxParallelSteps,
    priority: graph.priority,
    deadline: graph.deadline,
    requestId: created.requestId,
    requestDigest: created.requestDigest,
    schedule: created.schedule,
    totalSteps: created.totalSteps || graph.steps.length,
    eventCount: 1n,
  };
  return addSteps(empty, graph.steps, 'runCreated');
}

function foldRunEvent(run: RunRecord, payload: RunPayload, time: Timestamp): RunRecord {
  const { from, to } = RUN_TRANSITIONS[payload.case];
  if (!from.includes(run.state)) throw illegal(run, payload.case, `the run is ${RunState[run.state]}`);
  const state =
    to === 'unchanged'
      ? run.state
      : to === 'resumed'
        ? run.wasScheduled
          ? RunState.RUNNING
          : RunState.PENDING
        : to;
  const next = { ...run, state };
  switch (payload.case) {
    case 'runCreated':
    case 'runPaused':
    case 'runResumed':
      return next;
    case 'runCancelRequested':
      return { ...next, cancelReason: payload.value.reason };
    case 'runCompleted':
      if (!isWhole(run)) throw illegal(run, payload.case, 'steps are still to be added');
      if (countIn(run, StepState.COMPLETED) + countIn(run, StepState.SKIPPED) < run.steps.length)
        throw illegal(run, payload.case, 'a step is neither COMPLETED nor SKIPPED');
      return { ...next, endTime: time };
    case 'runFailed':
      requireAllEnded(run, payload.case);
      return { ...next, endTime: time, failure: payload.value.failure };
    case 'runCancelled':
      requireAllEnded(run, payload.case);
      return { ...next, endTime: time };
    case 'runRetried':
      return retry(next, payload.value, time);
    case 'stepsAdded':
      if (payload.value.steps.length === 0) throw illegal(run, payload.case, 'no steps');
      return addSteps(next, payload.value.steps, payload.case);
    default:
      return unreachable(payload);
  }
}

function retry(run: RunRecord, { stepIds, configOverrides }: RunRetried, time: Timestamp): RunRecord {
  const ids = new Set(stepIds);
  if (ids.size === 0) throw illegal(run, 'runRetried', 'no steps');
  checkRetryClosure(run, ids);
  for (const id of Object.keys(configOverrides))
    if (!ids.has(id)) throw illegal(run, 'runRetried', `config for step ${id}, which is not retried`);
  const withConfig = (spec: StepSpec): StepSpec => {
    const config = configOverrides[spec.id];
    return config === undefined ? spec : { ...spec, config };
  };
  return {
    ...resetSteps(run, ids, withConfig),
    deadlineFrom: time,
    endTime: undefined,
    failure: undefined,
    cancelReason: '',
  };
}

function requireAllEnded(run: RunRecord, event: string): void {
  for (const [state, positions] of run.byState)
    if (positions.size > 0 && !isTerminalStep(state))
      throw illegal(run, event, `${positions.size} steps are ${StepState[state]}`);
}

function illegal(run: RunRecord, event: string, problem: string): IllegalTransitionError {
  return new IllegalTransitionError(run.name, event, problem);
}

function unreachable(payload: never): never {
  throw new TypeError(`no rule for ${JSON.stringify(payload)}`);
}
