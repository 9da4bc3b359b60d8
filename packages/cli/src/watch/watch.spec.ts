import {
  AttemptSchema,
  AttemptState,
  CacheOriginSchema,
  FailureClass,
  FailureSchema,
  RetryPolicySchema,
  RunState,
  StepState,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { create } from '@bufbuild/protobuf';
import { createStyle } from '../output/style.js';
import { FakeTerminal } from '../testing/fake-terminal.js';
import {
  completedRun,
  eventUpdate,
  pendingRun,
  progressUpdate,
  runUpdate,
  wholeStory,
} from '../testing/sample-run.js';
import { describeEvent } from './event-line.js';
import { followRun } from './follow.js';
import { drawRun } from './run-frame.js';
import { drawRunReport } from './run-report.js';
import { RunView } from './run-view.js';
import { createViewer } from './viewers.js';

const style = createStyle(false);
const context = { style, columns: 100, rows: 30, now: new Date(Date.UTC(2026, 10, 21, 10, 1, 0)) };

/** A view after the first `count` updates of the whole story. */
function viewAfter(count: number): RunView {
  const view = new RunView();
  for (const update of wholeStory().slice(0, count)) view.apply(update);
  return view;
}

describe('RunView', () => {
  it('folds a run from beginning to end', () => {
    const view = viewAfter(99);
    expect(view.state).toBe(RunState.COMPLETED);
    expect(view.isFinal).toBe(true);
    expect(view.revision).toBe(9n);
    expect(view.steps.map(({ id, state, outcome }) => [id, state, outcome])).toEqual([
      ['founders', StepState.COMPLETED, 'created'],
      ['evolve', StepState.COMPLETED, 'improved'],
    ]);
  });

  it('starts from the snapshot of a run that has ended', () => {
    const view = new RunView();
    view.apply(runUpdate(completedRun()));
    expect(view.isFinal).toBe(true);
    expect(view.step('evolve')).toMatchObject({ attempt: 2, outcome: 'improved', fraction: 1 });
  });

  it('knows how far the run is, and when it ends once all that is left has said so', () => {
    const waiting = viewAfter(6);
    expect([waiting.fraction, waiting.etaSeconds]).toEqual([0.06, undefined]);
    const last = viewAfter(13);
    expect([last.fraction, last.etaSeconds]).toEqual([0.75, undefined]);
    last.apply(progressUpdate('evolve', 0.9, { etaSeconds: 30, loss: [] }));
    expect([last.fraction, last.etaSeconds]).toEqual([0.95, 30]);
    expect(drawRun(last, context)[0]).toContain('95 %  ETA 30.0 s');
    const ended = viewAfter(99);
    expect([ended.fraction, ended.etaSeconds]).toEqual([1, undefined]);
  });

  it('overwrites a curve that a resumed step draws again', () => {
    const view = viewAfter(4);
    view.apply(
      progressUpdate('founders', 0.1, {
        loss: [
          [10, 5],
          [20, 4],
        ],
      }),
    );
    view.apply(
      progressUpdate('founders', 0.1, {
        loss: [
          [10, 5],
          [15, 4.5],
        ],
      }),
    );
    const [curve] = view.step('founders')?.curves.losses() ?? [];
    expect(curve?.points).toEqual([
      { x: 10, y: 5 },
      { x: 15, y: 4.5 },
    ]);
  });

  it('bounds what it keeps of a long curve', () => {
    const view = viewAfter(4);
    for (let step = 0; step < 10_000; step++)
      view.apply(progressUpdate('founders', 0.5, { loss: [[step, 1]] }));
    const points = view.step('founders')?.curves.losses()[0]?.points ?? [];
    expect(points.length).toBeLessThanOrEqual(2_000);
    expect(points.at(-1)?.x).toBe(9_999);
  });

  it('shows a step READY after a failed attempt, and done after a cache hit', () => {
    const view = viewAfter(1);
    const value = { stepId: 'founders', attemptId: 'x', failure: { message: 'broken' } };
    view.apply(eventUpdate(5, 4n, { case: 'stepAttemptFailed', value }));
    expect(view.step('founders')).toMatchObject({ state: StepState.READY, failure: 'broken' });
    const hit = {
      stepId: 'founders',
      key: 'k',
      result: { outcome: 'improved' },
      sourceRun: 'projects/p/runs/r',
      sourceStepId: 'z',
    };
    const update = eventUpdate(6, 5n, { case: 'stepCacheHit', value: hit });
    view.apply(update);
    expect(view.step('founders')).toMatchObject({
      state: StepState.COMPLETED,
      fraction: 1,
      outcome: 'improved',
    });
    expect(view.state).toBe(RunState.RUNNING);
    if (update.update.case !== 'event') throw new Error('no event');
    expect(describeEvent(update.update.value).text).toBe(
      'founders: completed with the result of z in projects/p/runs/r',
    );
  });

  it('shows which fallback took over, and why', () => {
    const view = viewAfter(4);
    const failure = { code: 'INTERNAL', message: 'no child improves' };
    view.apply(
      eventUpdate(30, 5n, {
        case: 'stepFallbackUsed',
        value: { stepId: 'founders', fallback: 'uniform-average', failure },
      }),
    );
    expect(view.step('founders')).toMatchObject({
      state: StepState.READY,
      fallback: 'uniform-average',
      failure: 'no child improves',
    });
  });

  it('runs again after a retry', () => {
    const view = viewAfter(99);
    view.apply(eventUpdate(200, 10n, { case: 'runRetried', value: { stepIds: ['evolve'] } }));
    expect(view.isFinal).toBe(false);
    expect(view.step('evolve')?.state).toBe(StepState.PENDING);
    expect(view.step('founders')?.state).toBe(StepState.COMPLETED);
  });
});

describe('drawRun()', () => {
  it.each([
    ['while training', 7],
    ['while evolving', 13],
    ['at the end', 99],
  ])('%s', (_, count) => expect(drawRun(viewAfter(count), context)).toMatchSnapshot());

  it('shows the running and failed steps of a large graph first', () => {
    const view = new RunView();
    const run = pendingRun();
    const [first] = run.steps;
    const spec = first?.spec;
    if (!spec) throw new Error('the sample has steps');
    run.steps = Array.from({ length: 500 }, (_, index) => ({
      ...first,
      spec: { ...spec, id: `step-${index}` },
      state: index === 400 ? StepState.FAILED : StepState.COMPLETED,
    }));
    view.apply(runUpdate(run));
    const lines = drawRun(view, context);
    expect(lines.length).toBeLessThan(25);
    expect(lines[1]).toContain('step-400');
  });
});

describe('drawRunReport()', () => {
  it('draws a finished run with metrics, curves, checks and artifacts', () => {
    const points = [3, 2.5, 2.4, 2.2].map((y, x) => ({ x, y }));
    const curves = new Map([['founders', [{ series: 'loss', subject: 'founder-memory', points }]]]);
    expect(drawRunReport(completedRun(), curves, style)).toMatchSnapshot();
  });

  it('names a fallback with its cause, failed attempts with their class, and the origin of a reused result', () => {
    const run = completedRun();
    const [founders, evolve] = run.steps;
    if (!founders || !evolve) throw new Error('no steps');
    founders.usedFallback = true;
    founders.fallback = 'uniform-average';
    founders.fallbackCause = create(FailureSchema, { code: 'INTERNAL', message: 'no child improves' });
    founders.attempts = [
      create(AttemptSchema, {
        number: 1,
        state: AttemptState.FAILED,
        failure: {
          code: 'INTERNAL',
          reason: 'BROKEN',
          message: 'it broke',
          failureClass: FailureClass.RESOURCE,
        },
      }),
    ];
    evolve.cachedFrom = create(CacheOriginSchema, {
      key: `sha256:${'a'.repeat(64)}`,
      sourceRun: 'projects/p/runs/earlier',
      sourceStepId: 'z',
    });
    const text = drawRunReport(run, new Map(), style);
    expect(text).toContain('fallback uniform-average, because: INTERNAL: no child improves');
    expect(text).toContain('attempt 1 failed (resource): INTERNAL BROKEN: it broke');
    expect(text).toContain('result of z in projects/p/runs/earlier');
  });

  it('shows the policy of a step that has not completed, with defaults', () => {
    const run = pendingRun('projects/p/runs/r');
    const text = drawRunReport(run, new Map(), style);
    expect(text).toContain('retry 3 attempts · waits 1.0 s ×2 up to 1m 00s · transient, resource');
    expect(text).toMatch(/limits start 7d in the queue · run .* · silence 30.0 s/);
    const retry = {
      maxAttempts: 5,
      retryClasses: [FailureClass.PERMANENT],
      nonRetryableReasons: ['OUT_OF_DISK'],
    };
    const spec = run.steps[0]?.spec;
    if (spec) spec.retry = create(RetryPolicySchema, retry);
    expect(drawRunReport(run, new Map(), style)).toMatch(/retry 5 attempts .* permanent except OUT_OF_DISK/);
    expect(drawRunReport(completedRun(), new Map(), style)).not.toContain('retry');
  });

  it('says why a run failed, field by field', () => {
    const run = completedRun();
    run.state = RunState.FAILED;
    const text = drawRunReport(
      {
        ...run,
        failure: {
          $typeName: 'agentforge.failure.v1.Failure',
          code: 'INVALID_ARGUMENT',
          message: 'corpus is too small',
          reason: '',
          failureClass: 2,
          fieldViolations: [
            {
              $typeName: 'agentforge.failure.v1.FieldViolation',
              field: 'inputs.corpus',
              description: '12 bytes',
            },
          ],
        },
      },
      new Map(),
      style,
    );
    expect(text).toContain('INVALID_ARGUMENT: corpus is too small');
    expect(text).toContain('inputs.corpus: 12 bytes');
  });
});

describe('viewers', () => {
  it('piped: one line per event, one per tenth of progress', () => {
    const terminal = new FakeTerminal();
    const view = new RunView();
    const viewer = createViewer({ terminal, style, view });
    for (const update of wholeStory()) {
      view.apply(update);
      viewer.update(update);
    }
    viewer.close();
    const lines = terminal.text.trimEnd().split('\n');
    expect(lines.map((line) => line.slice(10))).toMatchSnapshot();
    expect(terminal.text).not.toContain('\u001b');
  });

  it('on a terminal: the same place again and again', () => {
    const terminal = new FakeTerminal({ isTTY: true });
    const view = new RunView();
    const viewer = createViewer({ terminal, style, view });
    for (const update of wholeStory()) {
      view.apply(update);
      viewer.update(update);
    }
    viewer.note('orchestrator was killed by SIGKILL; starting it again');
    viewer.close();
    const screen = terminal.screen();
    expect(screen[0]).toContain('orchestrator was killed');
    expect(screen.filter((line) => line.includes('projects/default/runs/demo'))).toHaveLength(1);
  });
});

describe('followRun()', () => {
  const signal = new AbortController().signal;
  const options = { name: 'projects/default/runs/demo', includeProgress: true, signal };

  it('goes on after the connection was lost, from where it was', async () => {
    const story = wholeStory();
    const asked: bigint[] = [];
    const lost: string[] = [];
    const client = {
      async *watchRun(request: { afterRevision?: bigint }) {
        asked.push(request.afterRevision ?? 0n);
        if (asked.length === 1) {
          yield* story.slice(0, 8);
          throw new AppError('UNAVAILABLE', 'gone');
        }
        yield* story.slice(8);
      },
    };
    const view = new RunView();
    await followRun({
      ...options,
      client: client as never,
      view,
      onUpdate: () => undefined,
      onLost: ({ message }) => lost.push(message),
    });
    expect(view.state).toBe(RunState.COMPLETED);
    expect(asked).toEqual([0n, 4n]);
    expect(lost).toEqual(['gone']);
  });

  it('passes on what will not get better', async () => {
    const client = {
      // biome-ignore lint/correctness/useYield: a call that fails before its first message
      async *watchRun() {
        throw new AppError('NOT_FOUND', 'no such run');
      },
    };
    const following = followRun({
      ...options,
      client: client as never,
      view: new RunView(),
      onUpdate: () => undefined,
    });
    await expect(following).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
