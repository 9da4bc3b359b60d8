import { isDeepStrictEqual } from 'node:util';
import { AttemptState, type RunEvent, RunState, StepState } from '@agentforge/contracts';
import fc from 'fast-check';
import {
  foldEvent,
  IllegalTransitionError,
  RELEASED_REASON,
  type RunEventInit,
  type RunRecord,
} from '../src/index.js';
import { created, event, RUN } from './histories.js';
import { legalPayloads } from './random-history.js';
import { SimpleRun } from './simple-run.js';

type Payload = NonNullable<RunEventInit['payload']>;

const GRAPHS = [
  created({ a: [], b: ['a'], c: ['a'], d: ['b', 'c'] }),
  created({ a: [], b: [] }),
  created({ a: [], b: [], c: ['a', 'b', 'a'] }),
];

/** What the fold says, in the terms of the model. */
function summaryOf(run: RunRecord) {
  return {
    state: RunState[run.state],
    steps: run.steps.toArray().map((step) => ({
      id: step.spec.id,
      waitsFor: step.dependencies,
      state: StepState[step.state],
      attempts: step.attempts.map(({ id, fencingToken, state, deliveries }) => ({
        id,
        token: fencingToken,
        state: AttemptState[state]?.toLowerCase(),
        deliveries,
      })),
      failed: step.failedAttempts,
      released: step.releases,
      isExhausted: step.isExhausted,
      fallback: step.fallback,
      checkpoint: step.checkpoint?.digest ?? '',
      outcome: step.result?.outcome ?? '',
      reported: step.reported !== undefined,
      unmet: step.unmetDependencies,
      isLost: step.lostDependency !== undefined,
    })),
  };
}

/** Any event, sensible or not: about steps and attempts that exist, existed, or never did. */
function anyPayload(run: RunRecord, pick: number, which: number): Payload {
  const steps = run.steps.toArray();
  const step = steps[which % (steps.length + 1)];
  const stepId = step?.spec.id ?? 'nobody';
  const ids = [...(step?.attempts.map(({ id }) => id) ?? []), '', 'stranger'];
  const attemptId = ids[(which >> 3) % ids.length] ?? '';
  const number = (step?.attempts.length ?? 0) + (which % 3);
  const failure = { code: 'INTERNAL', reason: which % 2 ? RELEASED_REASON : 'R' };
  const result = { outcome: `o${which % 5}` };
  const all: Payload[] = [
    { case: 'runCreated', value: { graph: { steps: [{ id: 'a' }] } } },
    { case: 'runPaused', value: {} },
    { case: 'runResumed', value: {} },
    { case: 'runCancelRequested', value: { reason: 'r' } },
    { case: 'runCompleted', value: {} },
    { case: 'runFailed', value: { failure } },
    { case: 'runCancelled', value: {} },
    { case: 'runRetried', value: { stepIds: which % 2 ? [stepId] : steps.map(({ spec }) => spec.id) } },
    { case: 'runRetried', value: { stepIds: [], configOverrides: { a: {} } } },
    { case: 'stepsAdded', value: { steps: [{ id: `n${which % 9}`, after: [stepId] }] } },
    {
      case: 'stepsAdded',
      value: {
        steps: [
          { id: 'x', after: ['y'] },
          { id: 'y', after: ['x'] },
        ],
      },
    },
    { case: 'stepReady', value: { stepId } },
    {
      case: 'stepScheduled',
      value: { stepId, attemptId: `t${which}`, number, fencingToken: BigInt(which % 6) },
    },
    { case: 'stepScheduled', value: { stepId, attemptId, number, fencingToken: 1_000n } },
    { case: 'stepStarted', value: { stepId, attemptId, worker: 'w' } },
    {
      case: 'stepCheckpointed',
      value: { stepId, attemptId, ...(which % 4 ? { checkpoint: { digest: 'd' } } : {}) },
    },
    { case: 'stepReported', value: { stepId, attemptId, ...(which % 4 ? { result } : {}) } },
    { case: 'stepAttemptFailed', value: { stepId, attemptId, ...(which % 4 ? { failure } : {}) } },
    { case: 'stepAttemptFailed', value: { stepId, attemptId, failure, nextAttemptTime: { seconds: 9n } } },
    { case: 'stepCompleted', value: { stepId } },
    { case: 'stepFailed', value: { stepId, failure } },
    { case: 'stepFallbackUsed', value: { stepId, fallback: which % 3 ? 'f' : '', failure } },
    { case: 'stepSkipped', value: { stepId, reason: 'r' } },
    { case: 'stepBlocked', value: { stepId, causeStepId: which % 3 ? 'a' : 'nobody' } },
    { case: 'stepCancelled', value: { stepId } },
    {
      case: 'stepCacheHit',
      value: { stepId, key: which % 3 ? 'k' : '', result, sourceRun: 'r', sourceStepId: 's' },
    },
    { case: 'reportRefused', value: { stepId, attemptId, report: 'failed' } },
  ];
  return all[pick % all.length] as Payload;
}

/** Each step: one of the legal events, or any; three in four are legal, so that a history gets somewhere. */
const HISTORY = fc.record({
  graph: fc.nat({ max: GRAPHS.length - 1 }),
  choices: fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat(), fc.nat({ max: 10_000 })), {
    minLength: 1,
    maxLength: 150,
    size: 'max',
  }),
});

function folded(state: RunRecord, next: RunEvent): RunRecord | undefined {
  try {
    return foldEvent(state, RUN, next);
  } catch (error) {
    expect(error).toBeInstanceOf(IllegalTransitionError);
    return undefined;
  }
}

/** `toEqual` only for its message: it costs a hundred times the comparison. */
function agree(state: RunRecord, model: SimpleRun): void {
  const [actual, expected] = [summaryOf(state), model.summary()];
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

describe('the fold beside a simple model', () => {
  it('takes and refuses the same events, and is in the same state after each', () => {
    let taken = 0;
    let refused = 0;
    fc.assert(
      fc.property(HISTORY, ({ graph, choices }) => {
        const first = GRAPHS[graph] as RunEvent;
        const model = new SimpleRun();
        expect(model.take(first)).toBe(true);
        let state = foldEvent(undefined, RUN, first);
        expect(summaryOf(state)).toEqual(model.summary());
        for (const [legality, pick, which] of choices) {
          const legal = legalPayloads(state);
          const payload = legality > 0 ? legal[pick % legal.length] : anyPayload(state, pick, which);
          if (!payload) continue;
          const next = event(payload);
          const after = folded(state, next);
          const isTaken = model.take(next);
          if (isTaken !== (after !== undefined)) expect({ ...payload, isTaken }).toEqual(payload);
          if (after) taken++;
          else refused++;
          state = after ?? state;
          agree(state, model);
        }
      }),
      { numRuns: 100 },
    );
    expect(taken).toBeGreaterThan(1_000);
    expect(refused).toBeGreaterThan(500);
  });
});
