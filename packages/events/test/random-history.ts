import { AttemptState, RunState, StepState } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import {
  attemptIdOf,
  countIn,
  isTerminalRun,
  isTerminalStep,
  openAttempt,
  RELEASED_REASON,
  type RunEventInit,
  type RunRecord,
  type StepRecord,
} from '../src/index.js';
import { RUN } from './histories.js';

type Payload = NonNullable<RunEventInit['payload']>;
type Maker = (step: StepRecord, run: RunRecord) => Payload[];

const TIME = create(TimestampSchema, { seconds: 99n });
const attemptOf = (step: StepRecord) => step.attempts.at(-1)?.id ?? 'none';
const fields = (step: StepRecord) => ({ stepId: step.spec.id, attemptId: attemptOf(step) });

/** Every way in which the rules let one step go on, written anew from the rules and not from the fold. */
const STEP_MOVES: Maker[] = [
  (step, run) =>
    step.state === StepState.PENDING &&
    run.state !== RunState.CANCELLING &&
    step.dependencies.every((id) => isDone(run, id))
      ? [{ case: 'stepReady', value: { stepId: step.spec.id } }]
      : [],
  (step, run) =>
    step.state === StepState.READY && !step.isExhausted && isIn(run, RunState.PENDING, RunState.RUNNING)
      ? [{ case: 'stepScheduled', value: nextAttempt(step) }]
      : [],
  (step, run) =>
    step.state === StepState.READY &&
    !step.isExhausted &&
    !step.fallback &&
    isIn(run, RunState.PENDING, RunState.RUNNING)
      ? [{ case: 'stepCacheHit', value: cacheHit(step) }]
      : [],
  (step) =>
    openAttempt(step)
      ? [
          { case: 'stepStarted', value: { ...fields(step), worker: 'w' } },
          {
            case: 'stepCheckpointed',
            value: { ...fields(step), checkpoint: { digest: `d${step.attempts.length}` } },
          },
          { case: 'stepReported', value: { ...fields(step), result: { outcome: 'done' } } },
        ]
      : [],
  (step) =>
    step.state === StepState.RUNNING || step.state === StepState.VALIDATING
      ? [
          { case: 'stepAttemptFailed', value: { ...fields(step), failure: { code: 'INTERNAL' } } },
          {
            case: 'stepAttemptFailed',
            value: { ...fields(step), failure: { code: 'INTERNAL' }, nextAttemptTime: TIME },
          },
          { case: 'stepAttemptFailed', value: { ...fields(step), failure: { reason: RELEASED_REASON } } },
        ]
      : [],
  (step) =>
    step.state === StepState.VALIDATING ? [{ case: 'stepCompleted', value: { stepId: step.spec.id } }] : [],
  (step, run) =>
    step.state === StepState.READY && step.isExhausted && !step.fallback && run.state !== RunState.CANCELLING
      ? [
          {
            case: 'stepFallbackUsed',
            value: { stepId: step.spec.id, fallback: 'f', failure: { code: 'INTERNAL' } },
          },
        ]
      : [],
  (step) =>
    step.state === StepState.READY && step.isExhausted
      ? [{ case: 'stepFailed', value: { stepId: step.spec.id, failure: { code: 'INTERNAL' } } }]
      : [],
  (step, run) => {
    const cause = step.dependencies.find((id) => isBad(run, id));
    return step.state === StepState.PENDING && cause !== undefined
      ? [{ case: 'stepBlocked', value: { stepId: step.spec.id, causeStepId: cause } }]
      : [];
  },
  (step, run) =>
    (step.state === StepState.PENDING || step.state === StepState.READY) &&
    !step.isExhausted &&
    run.state !== RunState.CANCELLING
      ? [{ case: 'stepSkipped', value: { stepId: step.spec.id, reason: 'r' } }]
      : [],
  (step, run) =>
    !isTerminalStep(step.state) && run.state === RunState.CANCELLING
      ? [{ case: 'stepCancelled', value: { stepId: step.spec.id } }]
      : [],
];

/** Every event that the rules allow now; moves of steps several times, so that a random history gets somewhere. */
export function legalPayloads(run: RunRecord): Payload[] {
  const steps = run.steps.toArray();
  const refusals = steps.map(
    ({ spec }): Payload => ({
      case: 'reportRefused',
      value: { stepId: spec.id, attemptId: 'old', report: 'failed' },
    }),
  );
  if (isTerminalRun(run.state)) {
    const stepIds = steps.map(({ spec }) => spec.id);
    return [...refusals, { case: 'runRetried', value: { stepIds } }];
  }
  const moves = steps.flatMap((step) => STEP_MOVES.flatMap((make) => make(step, run)));
  return [...moves, ...moves, ...moves, ...moves, ...refusals, ...runMoves(run, steps)];
}

function runMoves(run: RunRecord, steps: StepRecord[]): Payload[] {
  const moves: Payload[] = [];
  const isStopping = run.state === RunState.CANCELLING;
  const hasEnded = steps.every(({ state }) => isTerminalStep(state));
  if (run.state === RunState.PAUSED) moves.push({ case: 'runResumed', value: {} });
  if (isIn(run, RunState.PENDING, RunState.RUNNING)) moves.push({ case: 'runPaused', value: {} });
  if (!isStopping) {
    moves.push({ case: 'runCancelRequested', value: { reason: 'r' } });
    const id = `added${steps.length}`;
    if (steps.length < 12)
      moves.push({ case: 'stepsAdded', value: { steps: [{ id, after: [steps[0]?.spec.id ?? ''] }] } });
    if (hasEnded) moves.push({ case: 'runFailed', value: { failure: { code: 'INTERNAL' } } });
    if (countIn(run, StepState.COMPLETED) + countIn(run, StepState.SKIPPED) === steps.length)
      moves.push({ case: 'runCompleted', value: {} });
  } else if (hasEnded) moves.push({ case: 'runCancelled', value: {} });
  return moves;
}

function nextAttempt(step: StepRecord) {
  const number = step.attempts.length + 1;
  return {
    stepId: step.spec.id,
    attemptId: attemptIdOf(RUN, step.spec.id, number),
    number,
    fencingToken: step.fencingToken + 1n,
  };
}

function cacheHit(step: StepRecord) {
  return {
    stepId: step.spec.id,
    key: 'k',
    result: { outcome: 'reused' },
    sourceRun: 'projects/test/runs/earlier',
    sourceStepId: 'source',
  };
}

function stateOf(run: RunRecord, id: string): StepState | undefined {
  return run.steps.toArray().find(({ spec }) => spec.id === id)?.state;
}

function isDone(run: RunRecord, id: string): boolean {
  const state = stateOf(run, id);
  return state === StepState.COMPLETED || state === StepState.SKIPPED;
}

function isBad(run: RunRecord, id: string): boolean {
  const state = stateOf(run, id);
  return state === StepState.FAILED || state === StepState.BLOCKED || state === StepState.CANCELLED;
}

function isIn(run: RunRecord, ...states: RunState[]): boolean {
  return states.includes(run.state);
}

/** What must hold in every state, whatever led to it. */
export function invariantProblem(run: RunRecord): string | undefined {
  const steps = run.steps.toArray();
  for (const step of steps) {
    const { id } = step.spec;
    const unmet = step.dependencies.filter((dependency) => !isDone(run, dependency)).length;
    if (step.unmetDependencies !== unmet) return `${id}: ${step.unmetDependencies} unmet instead of ${unmet}`;
    const lost = step.dependencies.filter((dependency) => isBad(run, dependency));
    if (step.lostDependency === undefined ? lost.length > 0 : !lost.includes(step.lostDependency))
      return `${id}: lost ${step.lostDependency} instead of one of ${lost.join()}`;
    if (!run.byState.get(step.state)?.has(step.position)) return `${id}: not indexed under its state`;
    const open = step.attempts.filter(
      ({ state }) => state === AttemptState.QUEUED || state === AttemptState.STARTED,
    );
    if (open.length > (step.state === StepState.RUNNING ? 1 : 0))
      return `${id}: ${open.length} open attempts`;
    if (step.state === StepState.RUNNING && open[0] !== step.attempts.at(-1)) return `${id}: no open attempt`;
    if (step.attempts.some(({ number }, index) => number !== index + 1)) return `${id}: attempt numbers`;
    const tokens = step.attempts.map(({ fencingToken }) => fencingToken);
    if (tokens.some((token, index) => index > 0 && token <= (tokens[index - 1] ?? 0n)))
      return `${id}: tokens`;
    if (step.failedAttempts + step.releases > step.attempts.length) return `${id}: more ends than attempts`;
    if ((step.result !== undefined) !== (step.state === StepState.COMPLETED)) return `${id}: result`;
    if (step.cachedFrom && step.state !== StepState.COMPLETED) return `${id}: reused, yet not complete`;
    if ((step.fallback === '') !== (step.fallbackCause === undefined)) return `${id}: cause of the fallback`;
    if (isTerminalRun(run.state) && !isTerminalStep(step.state)) return `${id}: not ended in an ended run`;
  }
  const indexed = [...run.byState.values()].reduce((sum, set) => sum + set.size, 0);
  if (indexed !== steps.length) return `${indexed} steps indexed of ${steps.length}`;
  if ((run.endTime !== undefined) !== isTerminalRun(run.state)) return 'end time';
  return undefined;
}
