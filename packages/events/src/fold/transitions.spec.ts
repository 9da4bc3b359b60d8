import { FailureSchema, type RunEvent, RunEventSchema, RunState, StepState } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { created, event, RUN } from '../../test/histories.js';
import {
  attemptIdOf,
  foldEvent,
  IllegalTransitionError,
  isWhole,
  quarantined,
  RUN_TRANSITIONS,
  type RunEventCase,
  type RunEventInit,
  type RunRecord,
  STEP_TRANSITIONS,
  stepOf,
  toRun,
} from '../index.js';

type Payload = NonNullable<RunEventInit['payload']>;
const at = (number: number) => attemptIdOf(RUN, 's', number);
const fold = (...payloads: Payload[]): RunRecord =>
  payloads.reduce<RunRecord>(
    (state, payload) => foldEvent(state, RUN, event(payload)),
    foldEvent(undefined, RUN, created({ s: ['first'], first: [] })),
  );

const skipFirst: Payload = { case: 'stepSkipped', value: { stepId: 'first' } };
const ready: Payload = { case: 'stepReady', value: { stepId: 's' } };
const scheduled: Payload = {
  case: 'stepScheduled',
  value: { stepId: 's', attemptId: at(1), number: 1, fencingToken: 1n },
};
const reported: Payload = {
  case: 'stepReported',
  value: { stepId: 's', attemptId: at(1), result: { outcome: 'x' } },
};
const attemptFailed: Payload = {
  case: 'stepAttemptFailed',
  value: { stepId: 's', attemptId: at(1), failure: { code: 'INTERNAL' } },
};
const cancelRequested: Payload = { case: 'runCancelRequested', value: {} };
const cancelled = (stepId: string): Payload => ({ case: 'stepCancelled', value: { stepId } });
const failedFirst: Payload[] = [
  { case: 'stepFailed', value: { stepId: 'first', failure: { code: 'INTERNAL' } } },
];

/** A way into every state of step `s`, with the run still open. */
const STEP_STATES: Record<Exclude<keyof typeof StepState, 'UNSPECIFIED'>, Payload[]> = {
  PENDING: [skipFirst],
  READY: [skipFirst, ready],
  RUNNING: [skipFirst, ready, scheduled],
  VALIDATING: [skipFirst, ready, scheduled, reported],
  COMPLETED: [skipFirst, ready, scheduled, reported, { case: 'stepCompleted', value: { stepId: 's' } }],
  FAILED: [skipFirst, ready, { case: 'stepFailed', value: { stepId: 's', failure: { code: 'INTERNAL' } } }],
  SKIPPED: [skipFirst, { case: 'stepSkipped', value: { stepId: 's' } }],
  BLOCKED: [...failedFirst, { case: 'stepBlocked', value: { stepId: 's', causeStepId: 'first' } }],
  CANCELLED: [skipFirst, cancelled('s')],
};

/** Turns an open run into every state. */
const RUN_STATES: Record<Exclude<keyof typeof RunState, 'UNSPECIFIED'>, Payload[]> = {
  PENDING: [],
  RUNNING: [],
  PAUSED: [{ case: 'runPaused', value: {} }],
  CANCELLING: [cancelRequested],
  COMPLETED: [{ case: 'runCompleted', value: {} }],
  FAILED: [{ case: 'runFailed', value: {} }],
  CANCELLED: [cancelRequested, { case: 'runCancelled', value: {} }],
};

/** One event of every kind that fits step `s` where its state allows it. */
const EVENTS: Record<RunEventCase, (state: RunRecord) => Payload> = {
  runCreated: () => ({ case: 'runCreated', value: { graph: { steps: [{ id: 's' }] } } }),
  runPaused: () => ({ case: 'runPaused', value: {} }),
  runResumed: () => ({ case: 'runResumed', value: {} }),
  runCancelRequested: () => cancelRequested,
  runCompleted: () => ({ case: 'runCompleted', value: {} }),
  runFailed: () => ({ case: 'runFailed', value: {} }),
  runCancelled: () => ({ case: 'runCancelled', value: {} }),
  runRetried: () => ({ case: 'runRetried', value: { stepIds: ['s', 'first'] } }),
  stepsAdded: () => ({ case: 'stepsAdded', value: { steps: [{ id: 'new', after: ['s'] }] } }),
  stepReady: () => ready,
  stepScheduled: (state) => {
    const number = (stepOf(state, 's')?.attempts.length ?? 0) + 1;
    return {
      case: 'stepScheduled',
      value: { stepId: 's', attemptId: at(number), number, fencingToken: BigInt(number) },
    };
  },
  stepStarted: () => ({ case: 'stepStarted', value: { stepId: 's', attemptId: at(1), worker: 'w' } }),
  stepCheckpointed: () => ({
    case: 'stepCheckpointed',
    value: { stepId: 's', attemptId: at(1), checkpoint: { digest: 'd' } },
  }),
  stepReported: () => reported,
  stepAttemptFailed: () => attemptFailed,
  stepCompleted: () => ({ case: 'stepCompleted', value: { stepId: 's' } }),
  stepFailed: () => ({ case: 'stepFailed', value: { stepId: 's' } }),
  stepFallbackUsed: () => ({ case: 'stepFallbackUsed', value: { stepId: 's', fallback: 'f' } }),
  stepSkipped: () => ({ case: 'stepSkipped', value: { stepId: 's' } }),
  stepBlocked: () => ({ case: 'stepBlocked', value: { stepId: 's', causeStepId: 'first' } }),
  stepCancelled: () => cancelled('s'),
  stepCacheHit: () => ({
    case: 'stepCacheHit',
    value: { stepId: 's', key: 'k', result: { outcome: 'x' }, sourceRun: RUN, sourceStepId: 'first' },
  }),
  reportRefused: () => ({ case: 'reportRefused', value: { stepId: 's', attemptId: 'x', report: 'failed' } }),
};

/** Conditions beyond the two states, that this test's runs do not meet in some allowed cell. */
function isConditional(name: RunEventCase, run: RunRecord): boolean {
  const step = stepOf(run, 's');
  const isMet = stepOf(run, 'first')?.state !== StepState.FAILED;
  if (name === 'runCompleted')
    return step?.state !== StepState.COMPLETED && step?.state !== StepState.SKIPPED;
  if (name === 'runFailed' || name === 'runCancelled') return !isEnded(step?.state);
  if (name === 'stepFallbackUsed') return true;
  return name === 'stepBlocked' ? isMet : false;
}

const isEnded = (state: StepState | undefined) =>
  state !== undefined &&
  ![StepState.PENDING, StepState.READY, StepState.RUNNING, StepState.VALIDATING].includes(state);

const names = Object.keys(EVENTS) as RunEventCase[];
const outcome = (state: RunRecord, payload: Payload): RunRecord | undefined => {
  try {
    return foldEvent(state, RUN, event(payload));
  } catch (error) {
    if (error instanceof IllegalTransitionError) return undefined;
    throw error;
  }
};

describe('the transition tables', () => {
  it('have a row for every kind of event of the contract', () => {
    const kinds = RunEventSchema.oneofs[0]?.fields.map(({ localName }) => localName) ?? [];
    expect([...Object.keys(RUN_TRANSITIONS), ...Object.keys(STEP_TRANSITIONS)].sort()).toEqual(
      kinds.toSorted(),
    );
    expect(names.toSorted()).toEqual(kinds.toSorted());
  });

  /** Every state of the run × every state of the step × every kind of event. */
  const cells = Object.entries(RUN_STATES).flatMap(([runState, toRunState]) =>
    Object.entries(STEP_STATES).flatMap(([stepState, toStepState]) => {
      try {
        return [{ name: `run ${runState}, step ${stepState}`, run: fold(...toStepState, ...toRunState) }];
      } catch (error) {
        // a combination that cannot be reached, such as a completed run with a running step
        if (error instanceof IllegalTransitionError) return [];
        throw error;
      }
    }),
  );

  it('cover the reachable combinations', () => {
    expect(cells.length).toBeGreaterThanOrEqual(45);
    expect(new Set(cells.map(({ run }) => run.state)).size).toBe(7);
  });

  it.each(cells)('decide what is allowed: $name', ({ run }) => {
    const step = stepOf(run, 's');
    if (!step) throw new Error('no step');
    for (const name of names) {
      const payload = EVENTS[name](run);
      const after = outcome(run, payload);
      const rule =
        name in RUN_TRANSITIONS ? RUN_TRANSITIONS[name as keyof typeof RUN_TRANSITIONS] : undefined;
      const stepRule = STEP_TRANSITIONS[name as keyof typeof STEP_TRANSITIONS];
      const isAllowed = rule
        ? rule.from.includes(run.state)
        : stepRule.runStates.includes(run.state) && stepRule.from.includes(step.state);
      if (!isAllowed) expect([name, after]).toEqual([name, undefined]);
      else if (!isConditional(name, run)) {
        if (!after) throw new Error(`${name} was refused`);
        const state = stepOf(after, 's')?.state;
        if (stepRule && stepRule.to !== 'unchanged') expect([name, state]).toEqual([name, stepRule.to]);
        if (rule && typeof rule.to === 'number') expect([name, after.state]).toEqual([name, rule.to]);
      }
    }
  });
});

describe('conditions beyond the states', () => {
  const refused = (state: RunRecord, payload: Payload) =>
    expect(() => foldEvent(state, RUN, event(payload))).toThrow(IllegalTransitionError);
  const running = fold(skipFirst, ready, scheduled);

  it('refuse events of an attempt that is not the current one', () => {
    for (const name of ['stepStarted', 'stepCheckpointed', 'stepReported', 'stepAttemptFailed'] as const) {
      const payload = EVENTS[name](running);
      refused(running, { ...payload, value: { ...payload.value, attemptId: at(9) } } as Payload);
    }
  });

  it('refuse an attempt out of order, with an old token, or after the last one', () => {
    const failed = fold(skipFirst, ready, scheduled, {
      case: 'stepAttemptFailed',
      value: { stepId: 's', attemptId: at(1), failure: { code: 'X' }, nextAttemptTime: { seconds: 5n } },
    });
    const second = { stepId: 's', attemptId: at(2), number: 2, fencingToken: 2n };
    expect(outcome(failed, { case: 'stepScheduled', value: second })).toBeDefined();
    refused(failed, { case: 'stepScheduled', value: { ...second, number: 3 } });
    refused(failed, { case: 'stepScheduled', value: { ...second, fencingToken: 1n } });
    refused(failed, { case: 'stepScheduled', value: { ...second, attemptId: at(1) } });
    refused(fold(skipFirst, ready, scheduled, attemptFailed), { case: 'stepScheduled', value: second });
  });

  it('let the fallback follow the last attempt, once', () => {
    const exhausted = fold(skipFirst, ready, scheduled, attemptFailed);
    refused(fold(skipFirst, ready), EVENTS.stepFallbackUsed(running));
    const fallen = foldEvent(exhausted, RUN, event(EVENTS.stepFallbackUsed(exhausted)));
    expect(stepOf(fallen, 's')).toMatchObject({ fallback: 'f', isExhausted: false, state: StepState.READY });
    const again = [
      EVENTS.stepScheduled(fallen),
      { case: 'stepAttemptFailed', value: { stepId: 's', attemptId: at(2), failure: {} } },
    ] as Payload[];
    const done = again.reduce((state, payload) => foldEvent(state, RUN, event(payload)), fallen);
    refused(done, EVENTS.stepFallbackUsed(done));
    expect(outcome(done, EVENTS.stepFailed(done))).toBeDefined();
  });

  it('let an earlier result complete a step that is still to do its own work', () => {
    const hit = EVENTS.stepCacheHit(running);
    const waiting = fold(skipFirst, ready);
    const done = foldEvent(waiting, RUN, event(hit, 5));
    expect(done).toMatchObject({ state: RunState.RUNNING, startTime: { seconds: 5n } });
    expect(stepOf(done, 's')).toMatchObject({
      state: StepState.COMPLETED,
      attempts: [],
      result: { outcome: 'x' },
      cachedFrom: { key: 'k', sourceRun: RUN, sourceStepId: 'first' },
    });
    for (const missing of ['key', 'result', 'sourceRun', 'sourceStepId'])
      refused(waiting, { ...hit, value: { ...hit.value, [missing]: undefined } } as Payload);
    const exhausted = fold(skipFirst, ready, scheduled, attemptFailed);
    refused(exhausted, hit);
    refused(foldEvent(exhausted, RUN, event(EVENTS.stepFallbackUsed(exhausted))), hit);
    const again = [
      { case: 'runCompleted', value: {} },
      { case: 'runRetried', value: { stepIds: ['s'] } },
    ] as Payload[];
    const retried = again.reduce((state, payload) => foldEvent(state, RUN, event(payload)), done);
    expect(stepOf(retried, 's')).toMatchObject({ cachedFrom: undefined, result: undefined });
  });

  it('remember the first dependency that was lost, until a retry brings it back', () => {
    expect(stepOf(fold(skipFirst), 's')?.lostDependency).toBeUndefined();
    const lost = fold(...failedFirst);
    expect(stepOf(lost, 's')?.lostDependency).toBe('first');
    const late = event({ case: 'stepsAdded', value: { steps: [{ id: 'late', after: ['first'] }] } });
    expect(stepOf(foldEvent(lost, RUN, late), 'late')?.lostDependency).toBe('first');
    const ended = fold(...STEP_STATES.BLOCKED, { case: 'runFailed', value: {} });
    const again = { case: 'runRetried', value: { stepIds: ['s', 'first'] } } as Payload;
    expect(stepOf(foldEvent(ended, RUN, event(again)), 's')?.lostDependency).toBeUndefined();
  });

  it('remember which fallback was used, and why', () => {
    const exhausted = fold(skipFirst, ready, scheduled, attemptFailed);
    const fallback = { stepId: 's', fallback: 'f', failure: { code: 'INTERNAL', reason: 'BROKEN' } };
    const fallen = foldEvent(exhausted, RUN, event({ case: 'stepFallbackUsed', value: fallback }));
    const step = toRun(fallen).steps[0];
    expect(step).toMatchObject({ usedFallback: true, fallback: 'f', fallbackCause: { reason: 'BROKEN' } });
  });

  it('remember what an attempt was granted', () => {
    const value = { stepId: 's', attemptId: at(1), number: 1, fencingToken: 1n };
    const lease = { id: at(1), pool: 'host', granted: { cpu: 2 } };
    const granted = { ...value, phaseVersion: '1.2.0', lease };
    const after = fold(skipFirst, ready, { case: 'stepScheduled', value: granted });
    expect(toRun(after).steps[0]?.attempts[0]).toMatchObject({ phaseVersion: '1.2.0', lease });
  });

  it('let nothing become ready before the graph is whole', () => {
    const graph = { steps: [{ id: 'a' }], priority: 3 };
    const part = foldEvent(
      undefined,
      RUN,
      event({ case: 'runCreated', value: { graph, totalSteps: 2, schedule: 'projects/test/schedules/s' } }),
    );
    expect(isWhole(part)).toBe(false);
    expect(toRun(part)).toMatchObject({ stepCount: 2, priority: 3, schedule: 'projects/test/schedules/s' });
    refused(part, { case: 'stepReady', value: { stepId: 'a' } });
    const skipped = foldEvent(part, RUN, event({ case: 'stepSkipped', value: { stepId: 'a' } }));
    refused(skipped, { case: 'runCompleted', value: {} });
    const whole = foldEvent(part, RUN, event({ case: 'stepsAdded', value: { steps: [{ id: 'b' }] } }));
    expect(outcome(whole, { case: 'stepReady', value: { stepId: 'a' } })).toBeDefined();
    const tooFew = {
      case: 'runCreated',
      value: { graph: { steps: [{ id: 'a' }, { id: 'b' }] }, totalSteps: 1 },
    };
    expect(() => foldEvent(undefined, RUN, event(tooFew as Payload))).toThrow(/more than/);
  });

  it('let nothing happen to a run in quarantine', () => {
    const failure = create(FailureSchema, { code: 'DATA_LOSS', reason: 'EVENT_LOG_GAP' });
    const stopped = quarantined(running, failure);
    for (const name of names)
      expect([name, outcome(stopped, EVENTS[name](running))]).toEqual([name, undefined]);
    expect(toRun(stopped).quarantine).toEqual(failure);
    expect(toRun(running).quarantine).toBeUndefined();
  });

  it('count failures against the budget, releases not, and keep the checkpoint', () => {
    const released = fold(skipFirst, ready, scheduled, EVENTS.stepCheckpointed(running), {
      case: 'stepAttemptFailed',
      value: { stepId: 's', attemptId: at(1), failure: { reason: 'RELEASED' } },
    });
    expect(stepOf(released, 's')).toMatchObject({ failedAttempts: 0, releases: 1, isExhausted: false });
    expect(stepOf(released, 's')?.checkpoint?.digest).toBe('d');
    expect(stepOf(fold(skipFirst, ready, scheduled, attemptFailed), 's')).toMatchObject({
      failedAttempts: 1,
      releases: 0,
    });
  });

  it('refuse a graph that cannot run', () => {
    const graph = (steps: object[]) => () =>
      foldEvent(
        undefined,
        RUN,
        create(RunEventSchema, { payload: { case: 'runCreated', value: { graph: { steps } } } }) as RunEvent,
      );
    expect(graph([])).toThrow(IllegalTransitionError);
    expect(graph([{ id: 'a' }, { id: 'a' }])).toThrow(/twice/);
    expect(graph([{ id: 'a', after: ['b'] }])).toThrow(/unknown dependency b/);
    expect(
      graph([
        { id: 'a', after: ['b'] },
        { id: 'b', after: ['a'] },
      ]),
    ).toThrow(/depends on itself/);
  });

  it('refuse a retry that leaves a dependent behind or touches what has not ended', () => {
    const done = fold(...STEP_STATES.COMPLETED, { case: 'runCompleted', value: {} });
    refused(done, { case: 'runRetried', value: { stepIds: ['first'] } });
    refused(done, { case: 'runRetried', value: { stepIds: ['s', 'nobody'] } });
    refused(done, { case: 'runRetried', value: { stepIds: ['s'], configOverrides: { first: {} } } });
    const again = foldEvent(
      done,
      RUN,
      event({ case: 'runRetried', value: { stepIds: ['s'], configOverrides: { s: { rate: 1 } } } }),
    );
    expect(again.state).toBe(RunState.RUNNING);
    expect(stepOf(again, 's')).toMatchObject({
      state: StepState.PENDING,
      unmetDependencies: 0,
      result: undefined,
      failedAttempts: 0,
    });
    expect(stepOf(again, 's')?.spec.config).toEqual({ rate: 1 });
    expect(stepOf(again, 's')?.attempts).toHaveLength(1);
  });

  it('refuse what has no kind, no run, another run or an old revision', () => {
    expect(() => foldEvent(running, RUN, create(RunEventSchema))).toThrow(/not known/);
    expect(() => foldEvent(undefined, RUN, event({ case: 'runPaused', value: {} }))).toThrow(
      /does not exist/,
    );
  });
});
