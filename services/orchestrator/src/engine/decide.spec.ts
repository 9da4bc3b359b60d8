import { AttemptState, FailureClass, RunState, StepState } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Story } from '../../test/story.js';
import { DEFAULT_QUEUE_MS } from './decide-timeouts.js';

const diamond = () =>
  Story.of([
    { id: 'a' },
    { id: 'b', after: ['a'] },
    { id: 'c', after: ['a'] },
    { id: 'd', after: ['b', 'c'] },
  ]);

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return AppError.from(error).code;
  }
};

describe('decide(): dependencies', () => {
  it('schedules roots at once and joins wait for all branches', () => {
    const story = diamond();
    expect(story.log.map(({ payload }) => payload.case)).toEqual([
      'runCreated',
      'stepReady',
      'stepScheduled',
    ]);
    story.start('a');
    expect(story.succeed('a')).toEqual([
      'stepReported a',
      'stepCompleted a',
      'stepReady b',
      'stepReady c',
      'stepScheduled b',
      'stepScheduled c',
    ]);
    story.start('b');
    expect(story.succeed('b')).toEqual(['stepReported b', 'stepCompleted b']);
    story.start('c');
    expect(story.succeed('c')).toContain('stepReady d');
    story.start('d');
    expect(story.succeed('d').at(-1)).toBe('runCompleted');
    expect(story.state?.state).toBe(RunState.COMPLETED);
  });

  it('runs at most as many steps at once as the graph says, in the order of the graph', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b' }, { id: 'c' }], { maxParallelSteps: 2 });
    expect(story.step('a').state).toBe(StepState.RUNNING);
    expect(story.step('c').state).toBe(StepState.READY);
    story.start('b');
    expect(story.succeed('b')).toContain('stepScheduled c');
  });

  it('blocks what depends on a failed step, finishes the rest, then fails the run', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b', after: ['a'] }, { id: 'c', after: ['b'] }, { id: 'x' }]);
    story.start('a');
    expect(story.fail('a', 2)).toEqual([
      'stepAttemptFailed a',
      'stepFailed a',
      'stepBlocked b',
      'stepBlocked c',
    ]);
    expect(story.state?.state).toBe(RunState.RUNNING);
    story.start('x');
    expect(story.succeed('x').at(-1)).toBe('runFailed');
    expect(story.state?.failure?.message).toBe('step "a" failed: broken');
  });

  it('cuts a large batch and goes on with the next tick', () => {
    const story = Story.of(Array.from({ length: 2_500 }, (_, i) => ({ id: `s${i}` })));
    expect(story.log.length).toBeLessThanOrEqual(1_000);
    let added = story.tick(true).length;
    while (added > 0) added = story.tick(true).length;
    expect(story.log.filter(({ payload }) => payload.case === 'stepReady')).toHaveLength(2_500);
    expect(story.log.filter(({ payload }) => payload.case === 'stepScheduled')).toHaveLength(64);
  });
});

describe('decide(): failures', () => {
  const retry = { maxAttempts: 3, initialInterval: durationFromMs(1_000), jitter: 0 };

  it('tries again after a wait that doubles, then fails', () => {
    const story = Story.of([{ id: 'a', retry }]);
    story.start('a');
    expect(story.fail('a')).toEqual(['stepAttemptFailed a']);
    expect(story.wait(999)).toEqual([]);
    expect(story.wait(1)).toEqual(['stepScheduled a']);
    story.start('a');
    story.fail('a');
    expect(story.wait(1_999)).toEqual([]);
    expect(story.wait(1)).toEqual(['stepScheduled a']);
    story.start('a');
    expect(story.fail('a')).toEqual(['stepAttemptFailed a', 'stepFailed a', 'runFailed']);
    const { attempts } = story.step('a');
    expect(attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(new Set(attempts.map(({ fencingToken }) => fencingToken)).size).toBe(3);
  });

  it('does not try again after a permanent failure', () => {
    const story = Story.of([{ id: 'a', retry }]);
    story.start('a');
    expect(story.fail('a', 2)).toContain('stepFailed a');
  });

  it('tries again after the classes that the policy names, except for its reasons', () => {
    const only = (over: object) => Story.of([{ id: 'a', retry: { ...retry, ...over } }]);
    const permanent = only({ retryClasses: [FailureClass.PERMANENT] });
    permanent.start('a');
    expect(permanent.fail('a', FailureClass.PERMANENT)).toEqual(['stepAttemptFailed a']);
    const transient = only({ retryClasses: [FailureClass.RESOURCE] });
    transient.start('a');
    expect(transient.fail('a', FailureClass.TRANSIENT)).toContain('stepFailed a');
    const reasons = only({ nonRetryableReasons: ['BROKEN'] });
    reasons.start('a');
    expect(reasons.fail('a', FailureClass.TRANSIENT)).toContain('stepFailed a');
  });

  it('uses the fallback of the phase once, when it may', () => {
    const story = Story.of([{ id: 'a' }]);
    story.fallback = 'uniform-average';
    story.start('a');
    expect(story.fail('a', 2)).toEqual(['stepAttemptFailed a', 'stepFallbackUsed a', 'stepScheduled a']);
    expect(story.step('a').fallback).toBe('uniform-average');
    story.start('a');
    expect(story.fail('a', 2)).toEqual(['stepAttemptFailed a', 'stepFailed a', 'runFailed']);
  });

  it('does not use a fallback that the step forbids', () => {
    const story = Story.of([{ id: 'a', allowFallback: false }]);
    story.fallback = 'uniform-average';
    story.start('a');
    expect(story.fail('a', 2)).toContain('stepFailed a');
  });

  it('keeps the newest checkpoint when the report of an older one comes late', () => {
    const story = Story.of([{ id: 'a' }]);
    story.start('a');
    const checkpointed = (sequence: number) =>
      story.report('a', {
        case: 'checkpointed',
        value: { checkpoint: { digest: `c${sequence}` }, sequence },
      });
    expect([1, 3, 2, 3, 4].map(checkpointed)).toEqual([
      ['stepCheckpointed a'],
      ['stepCheckpointed a'],
      [],
      [],
      ['stepCheckpointed a'],
    ]);
    story.fail('a');
    story.wait(5_000);
    expect(story.step('a').attempts.at(-1)?.checkpoint?.digest).toBe('c4');
  });

  it('gives the next attempt the last checkpoint', () => {
    const story = Story.of([{ id: 'a', retry }]);
    story.start('a');
    story.report('a', { case: 'checkpointed', value: { checkpoint: { digest: 'sha256:1' } } });
    story.fail('a');
    story.wait(1_000);
    expect(story.step('a').attempts.at(-1)?.checkpoint?.digest).toBe('sha256:1');
  });
});

describe('decide(): fencing', () => {
  it('says nothing about a report that repeats what is known', () => {
    const story = diamond();
    story.start('a');
    expect(story.start('a')).toEqual([]);
    story.succeed('a');
    expect(story.succeed('a')).toEqual([]);
    expect(story.report('a', { case: 'checkpointed', value: { checkpoint: { digest: 'x' } } })).toEqual([]);
  });

  it('refuses the result of an older attempt, once', () => {
    const story = Story.of([
      { id: 'a', timeouts: { heartbeat: durationFromMs(1_000) }, retry: { jitter: 0 } },
    ]);
    story.start('a');
    const { id, fencingToken } = story.step('a').attempts[0] ?? { id: '', fencingToken: 0n };
    expect(story.wait(1_001)).toEqual(['stepAttemptFailed a']);
    story.wait(1_000);
    expect(story.step('a').attempts).toHaveLength(2);
    const late = { attemptId: id, fencingToken };
    expect(story.succeed('a', late)).toEqual(['reportRefused a']);
    expect(story.succeed('a', late)).toEqual([]);
    expect(story.start('a', late)).toEqual([]);
    expect(story.step('a').state).toBe(StepState.RUNNING);
  });

  it('refuses a report with a token that is not the current one', () => {
    const story = diamond();
    story.start('a');
    expect(story.succeed('a', { fencingToken: 99n })).toEqual(['reportRefused a']);
  });

  it('refuses a worker whose place another one took', () => {
    const story = diamond();
    story.start('a', { worker: 'w1' });
    expect(story.start('a', { worker: 'w2' })).toEqual(['stepStarted a']);
    expect(story.succeed('a', { worker: 'w1' })).toEqual(['reportRefused a']);
    expect(story.succeed('a', { worker: 'w2' })).toContain('stepCompleted a');
    expect(story.step('a').attempts[0]?.deliveries).toBe(2);
  });
});

describe('decide(): timeouts', () => {
  it('ends an attempt that takes too long and tries again', () => {
    const story = Story.of([{ id: 'a', timeouts: { startToClose: durationFromMs(5_000) } }]);
    story.start('a');
    story.signs.set(story.step('a').attempts[0]?.id ?? '', story.nowMs + 5_001);
    expect(story.wait(5_000)).toEqual([]);
    expect(story.wait(1)).toEqual(['stepAttemptFailed a']);
    expect(story.step('a').attempts[0]?.failure?.reason).toBe('START_TO_CLOSE_TIMEOUT');
  });

  it('lets a worker that gives signs go on', () => {
    const story = diamond();
    story.start('a');
    const id = story.step('a').attempts[0]?.id ?? '';
    story.signs.set(id, story.nowMs + 20_000);
    expect(story.wait(40_000)).toEqual([]);
    expect(story.wait(10_001)).toEqual(['stepAttemptFailed a']);
    expect(story.step('a').attempts[0]?.failure?.reason).toBe('HEARTBEAT_TIMEOUT');
  });

  it('fails a step that no worker starts in time, queued or waiting for a slot', () => {
    const timeouts = { scheduleToStart: durationFromMs(1_000) };
    const story = Story.of(
      [
        { id: 'a', timeouts },
        { id: 'b', timeouts },
      ],
      { maxParallelSteps: 1 },
    );
    expect(story.wait(1_001)).toEqual(
      expect.arrayContaining(['stepAttemptFailed a', 'stepFailed a', 'stepFailed b', 'runFailed']),
    );
  });

  it('falls back once when nobody takes a task in time; a step that waits to be scheduled would wait for the same', () => {
    const timeouts = { scheduleToStart: durationFromMs(1_000) };
    const story = new Story();
    story.fallback = 'less';
    story.begin(
      [
        { id: 'a', timeouts },
        { id: 'b', timeouts },
      ],
      { maxParallelSteps: 1 },
    );
    expect(story.wait(1_001)).toEqual([
      'stepAttemptFailed a',
      'stepFallbackUsed a',
      'stepFailed b',
      'stepScheduled a',
    ]);
    expect(story.wait(1_001)).toEqual(['stepAttemptFailed a', 'stepFailed a', 'runFailed']);
  });

  it('fails a step whose task nobody takes within a week, and lets one wait for a slot', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b' }], { maxParallelSteps: 1 });
    expect(story.wait(DEFAULT_QUEUE_MS)).toEqual([]);
    expect(story.wait(1)).toEqual(['stepAttemptFailed a', 'stepFailed a', 'stepScheduled b']);
    expect(story.step('a').failure?.reason).toBe('SCHEDULE_TO_START_TIMEOUT');
  });

  it('fails the run at its deadline and stops what runs', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b', after: ['a'] }], { deadline: durationFromMs(10_000) });
    story.start('a');
    story.signs.set(story.step('a').attempts[0]?.id ?? '', story.nowMs + 10_000);
    expect(story.wait(10_001)).toEqual(['stepCancelled b', 'stepCancelled a', 'runFailed']);
    expect(story.state?.failure?.reason).toBe('RUN_DEADLINE');
  });

  it('counts the deadline anew when the run is retried', () => {
    const story = Story.of([{ id: 'a' }], { deadline: durationFromMs(10_000) });
    story.wait(10_001);
    expect(story.state?.failure?.reason).toBe('RUN_DEADLINE');
    story.wait(60_000);
    expect(story.tell({ kind: 'retry', stepIds: [], configOverrides: {} })).toEqual([
      'runRetried',
      'stepReady a',
      'stepScheduled a',
    ]);
    expect(story.wait(10_000)).toEqual([]);
    expect(story.wait(1)).toEqual(['stepCancelled a', 'runFailed']);
    expect(story.state?.failure?.reason).toBe('RUN_DEADLINE');
  });
});

describe('decide(): pause, resume, cancel', () => {
  it('takes back queued attempts, lets running ones hand back, and goes on from the checkpoint', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b' }]);
    story.start('a');
    expect(story.tell({ kind: 'pause' })).toEqual(['runPaused', 'stepAttemptFailed b']);
    expect(story.tell({ kind: 'pause' })).toEqual([]);
    const checkpoint = { digest: 'sha256:c' };
    expect(story.report('a', { case: 'released', value: { checkpoint } })).toEqual([
      'stepCheckpointed a',
      'stepAttemptFailed a',
    ]);
    expect(story.wait(60_000)).toEqual([]);
    expect(story.tell({ kind: 'resume' })).toEqual(['runResumed', 'stepScheduled a', 'stepScheduled b']);
    const attempt = story.step('a').attempts.at(-1);
    expect(attempt?.checkpoint?.digest).toBe('sha256:c');
    expect(attempt?.fencingToken).toBe(2n);
    expect(story.step('a').failedAttempts).toBe(0);
  });

  it('schedules at once what a draining worker hands back', () => {
    const story = diamond();
    story.start('a');
    expect(story.report('a', { case: 'released', value: {} })).toEqual([
      'stepAttemptFailed a',
      'stepScheduled a',
    ]);
  });

  it('completes steps of a paused run, and the run', () => {
    const story = Story.of([{ id: 'a' }]);
    story.start('a');
    story.tell({ kind: 'pause' });
    expect(story.succeed('a')).toEqual(['stepReported a', 'stepCompleted a', 'runCompleted']);
  });

  it('stops what waits at once and what runs when its worker says so', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b' }, { id: 'c', after: ['a'] }]);
    story.start('a');
    expect(story.tell({ kind: 'cancel', reason: 'enough' })).toEqual([
      'runCancelRequested',
      'stepCancelled c',
      'stepCancelled b',
    ]);
    expect(story.report('a', { case: 'cancelled', value: {} })).toEqual(['stepCancelled a', 'runCancelled']);
    expect(story.step('a').attempts[0]?.state).toBe(AttemptState.CANCELLED);
  });

  it('stops also when the worker reports success or failure, or is gone', () => {
    for (const end of [
      (story: Story) => story.succeed('a'),
      (story: Story) => story.fail('a'),
      (story: Story) => story.wait(30_001),
    ]) {
      const story = Story.of([{ id: 'a' }]);
      story.start('a');
      story.tell({ kind: 'cancel', reason: '' });
      expect(end(story)).toEqual(['stepCancelled a', 'runCancelled']);
    }
  });

  it('refuses what the state does not allow', () => {
    const story = diamond();
    expect(codeOf(() => story.tell({ kind: 'resume' }))).toBe('FAILED_PRECONDITION');
    expect(codeOf(() => story.tell({ kind: 'retry', stepIds: [], configOverrides: {} }))).toBe(
      'FAILED_PRECONDITION',
    );
    story.tell({ kind: 'cancel', reason: '' });
    expect(story.state?.state).toBe(RunState.CANCELLED);
    for (const kind of ['pause', 'resume'] as const)
      expect(codeOf(() => story.tell({ kind }))).toBe('FAILED_PRECONDITION');
    expect(codeOf(() => story.tell({ kind: 'cancel', reason: '' }))).toBe('FAILED_PRECONDITION');
  });
});

describe('decide(): retry from a step', () => {
  const failed = () => {
    const story = diamond();
    for (const id of ['a', 'b']) {
      story.start(id);
      story.succeed(id);
    }
    story.start('c');
    story.fail('c', 2);
    return story;
  };

  it('repeats what did not complete and keeps the rest', () => {
    const story = failed();
    expect(story.tell({ kind: 'retry', stepIds: [], configOverrides: {} })).toEqual([
      'runRetried',
      'stepReady c',
      'stepScheduled c',
    ]);
    expect(story.step('b').state).toBe(StepState.COMPLETED);
    story.start('c');
    story.succeed('c');
    story.start('d');
    expect(story.succeed('d')).toContain('runCompleted');
  });

  it('repeats a named step, changed, and everything behind it', () => {
    const story = failed();
    const configOverrides = { b: { x: 2 } };
    expect(story.tell({ kind: 'retry', stepIds: ['b', 'c'], configOverrides })).toContain('stepScheduled b');
    expect(story.step('b').spec.config).toEqual({ x: 2 });
    expect(story.step('d').state).toBe(StepState.PENDING);
    expect(story.step('a').state).toBe(StepState.COMPLETED);
  });

  it('refuses unknown steps, overrides of steps that are kept, and a run with nothing left to do', () => {
    const story = failed();
    const retry = (stepIds: string[], configOverrides = {}) =>
      codeOf(() => story.tell({ kind: 'retry', stepIds, configOverrides }));
    expect(retry(['ghost'])).toBe('NOT_FOUND');
    expect(retry(['c'], { a: {} })).toBe('INVALID_ARGUMENT');
    const complete = Story.of([{ id: 'a' }]);
    complete.start('a');
    complete.succeed('a');
    expect(codeOf(() => complete.tell({ kind: 'retry', stepIds: [], configOverrides: {} }))).toBe(
      'FAILED_PRECONDITION',
    );
    expect(complete.tell({ kind: 'retry', stepIds: ['a'], configOverrides: {} })).toContain(
      'stepScheduled a',
    );
  });
});

describe('decide(): judgements', () => {
  const reading = () => {
    const inputs = [
      { port: 'corpus', source: { case: 'artifacts' as const, value: { refs: [{ digest: 'd' }] } } },
    ];
    return Story.of([{ id: 'a', inputs }]);
  };
  const verdict = (valid: boolean, blocking = true) => ({
    $typeName: 'agentforge.validation.v1.Verdict' as const,
    validator: 'gate/x/y',
    valid,
    blocking,
    score: 0,
    errors: [],
    warnings: [],
    details: [],
    recommendations: [],
  });

  it('schedules a step that reads artifacts when they were accepted', () => {
    const story = reading();
    expect(story.checks).toEqual(['a']);
    expect(story.step('a').state).toBe(StepState.READY);
    story.accepted.add('a');
    expect(story.tell({ kind: 'inputs-judged', stepId: 'a' })).toEqual(['stepScheduled a']);
  });

  it('fails a step whose inputs are refused', () => {
    const story = reading();
    const failure = {
      $typeName: 'agentforge.failure.v1.Failure' as const,
      code: 'FAILED_PRECONDITION',
      message: 'corpus is empty',
      reason: '',
      fieldViolations: [],
      failureClass: 2,
    };
    expect(story.tell({ kind: 'inputs-judged', stepId: 'a', failure })).toEqual([
      'stepFailed a',
      'runFailed',
    ]);
  });

  it('completes on verdicts that pass or are advisory, and fails for good on a blocking one', () => {
    for (const [verdicts, last] of [
      [[verdict(true), verdict(false, false)], 'runCompleted'],
      [[verdict(true), verdict(false)], 'runFailed'],
    ] as const) {
      const story = Story.of([{ id: 'a' }]);
      story.hasOutputs = true;
      story.start('a');
      expect(story.succeed('a')).toEqual(['stepReported a']);
      const attemptId = story.step('a').attempts[0]?.id ?? '';
      const judged = { kind: 'outputs-judged' as const, stepId: 'a', attemptId, verdicts };
      expect(story.tell({ ...judged, attemptId: 'other' })).toEqual([]);
      expect(story.tell(judged).at(-1)).toBe(last);
      expect(story.tell(judged)).toEqual([]);
      expect(story.step('a').verdicts).toHaveLength(2);
    }
  });
});

describe('decide(): several inputs at once', () => {
  it('refuses one without touching the others', () => {
    const story = diamond();
    expect(
      codeOf(() => story.tell({ kind: 'pause' }, { kind: 'retry', stepIds: [], configOverrides: {} })),
    ).toBe('FAILED_PRECONDITION');
    expect(story.state?.state).toBe(RunState.PAUSED);
  });
});
