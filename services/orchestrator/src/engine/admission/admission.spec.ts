import {
  CachePolicy,
  LeaseSchema,
  RunState,
  StepResultSchema,
  StepState,
  WaitKind,
} from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { Story } from '../../../test/story.js';
import type { DecideContext } from '../inputs.js';
import { admission } from './admission.js';
import type { CacheAnswer } from './cache.js';
import { waitsOf } from './explain.js';

const HIT: CacheAnswer = {
  kind: 'hit',
  key: 'k',
  result: create(StepResultSchema, { outcome: 'earlier' }),
  sourceRun: 'projects/p/runs/earlier',
  sourceStepId: 'z',
};
const lease = create(LeaseSchema, { id: 'p.r.a.1', pool: 'host', granted: { cpu: 2 } });

/** A story in which step a is READY and nothing is scheduled yet. */
function waiting(step: Parameters<typeof Story.of>[0][number], over: Partial<DecideContext>) {
  const story = new Story();
  story.over = { defaultParallelSteps: 0 };
  story.begin([step, { id: 'b', after: [step.id ?? ''] }]);
  story.over = over;
  const ask = () => {
    if (!story.state) throw new Error('no run');
    return admission(story.state, story.step(step.id ?? ''), story.context());
  };
  return { story, ask };
}

describe('admission()', () => {
  const a = { id: 'a' };
  const asking = { ...a, resources: { cpu: 2 } };
  const input = { port: 'x', source: { case: 'artifacts' as const, value: { refs: [{ digest: 'd' }] } } };

  it('schedules what nothing holds back', () => {
    expect(waiting(a, {}).ask()).toBe('schedule');
    expect(waiting(asking, {}).ask()).toBe('schedule');
  });

  it.each<[string, Partial<DecideContext>, object]>([
    ['slots', { defaultParallelSteps: 0 }, { wait: { kind: WaitKind.RUN_LIMIT } }],
    ['a check under way', { checking: new Set(['a']) }, { wait: { kind: WaitKind.INPUT_CHECK } }],
    [
      'a check of others',
      { checking: new Set(['x']), defaultParallelSteps: 1 },
      { wait: { kind: WaitKind.RUN_LIMIT } },
    ],
    [
      'an open breaker',
      { breakerOf: () => ({ isOpen: true, retryMs: 7 }) },
      { wait: { kind: WaitKind.BREAKER_OPEN, untilMs: 7 } },
    ],
    [
      'the cache',
      { cacheAnswerOf: () => ({ kind: 'asking' }), breakerOf: () => ({ isOpen: true }) },
      { wait: { kind: WaitKind.CACHE_LOOKUP } },
    ],
    [
      'resources',
      { leaseAnswerOf: () => ({ kind: 'waiting', wait: { kind: WaitKind.RESOURCES, position: 2 } }) },
      { wait: { kind: WaitKind.RESOURCES, position: 2 } },
    ],
  ])('waits for %s', (_, over, expected) => {
    expect(waiting(asking, over).ask()).toEqual(expected);
  });

  it('asks the cache, then the judge, then for a lease', () => {
    const { story, ask } = waiting({ ...asking, inputs: [input] }, {});
    story.over = { cacheAnswerOf: () => ({ kind: 'unasked' }), leaseAnswerOf: () => ({ kind: 'unasked' }) };
    expect(ask()).toBe('ask-cache');
    story.over = { cacheAnswerOf: () => ({ kind: 'miss' }), leaseAnswerOf: () => ({ kind: 'unasked' }) };
    expect(ask()).toBe('check-inputs');
    story.accepted.add('a');
    expect(ask()).toBe('ask-lease');
    story.over = { leaseAnswerOf: () => ({ kind: 'granted', lease }) };
    expect(ask()).toBe('schedule');
  });

  it('asks for nothing that a step does not want', () => {
    for (const cache of [CachePolicy.OFF, CachePolicy.REFRESH])
      expect(waiting({ ...a, cache }, { cacheAnswerOf: () => HIT }).ask()).toBe('schedule');
    expect(waiting(a, { leaseAnswerOf: () => undefined }).ask()).toBe('schedule');
  });

  it('says what a step waits for that is not READY, or whose run is paused', () => {
    const { story } = waiting(a, {});
    if (!story.state) throw new Error('no run');
    expect(admission(story.state, story.step('b'), story.context())).toEqual({
      wait: { kind: WaitKind.DEPENDENCIES, stepIds: ['a'] },
    });
    story.tell({ kind: 'pause' });
    expect(admission(story.state, story.step('b'), story.context())).toEqual({
      wait: { kind: WaitKind.PAUSED },
    });
  });
});

describe('waitsOf()', () => {
  const input = { port: 'x', source: { case: 'artifacts' as const, value: { refs: [{ digest: 'd' }] } } };
  const kindsOf = (story: Story) => {
    if (!story.state) throw new Error('no run');
    return waitsOf(story.state, story.step('a'), story.context()).map(({ kind }) => kind);
  };

  it('names the question that is open when nothing else holds a step back: another replica may be asking it', () => {
    const { story } = waiting({ id: 'a', inputs: [input] }, {});
    expect(kindsOf(story)).toEqual([WaitKind.INPUT_CHECK]);
    story.accepted.add('a');
    expect(kindsOf(story)).toEqual([]);
    story.over = { cacheAnswerOf: () => ({ kind: 'unasked' }) };
    expect(kindsOf(story)).toEqual([WaitKind.CACHE_LOOKUP]);
    story.over = { breakerOf: () => ({ isOpen: true }) };
    expect(kindsOf(story)).toEqual([WaitKind.BREAKER_OPEN]);
  });
});

describe('decide(): admission', () => {
  it('completes a step with an earlier result, and goes on with what depends on it in the same batch', () => {
    const { story } = waiting({ id: 'a' }, {});
    story.over = { cacheAnswerOf: ({ spec }) => (spec.id === 'a' ? HIT : { kind: 'miss' }) };
    expect(story.tick()).toEqual(['stepCacheHit a', 'stepReady b', 'stepScheduled b']);
    expect(story.step('a')).toMatchObject({ state: StepState.COMPLETED, attempts: [], result: HIT.result });
  });

  it('ends a run whose steps were all done before', () => {
    const { story } = waiting({ id: 'a' }, {});
    story.over = { cacheAnswerOf: () => HIT };
    expect(story.tick()).toEqual(['stepCacheHit a', 'stepReady b', 'stepCacheHit b', 'runCompleted']);
    expect(story.state?.state).toBe(RunState.COMPLETED);
  });

  it('hands questions on instead of scheduling, and holds their slots', () => {
    const { story } = waiting({ id: 'a', resources: { cpu: 1 } }, {});
    story.over = { cacheAnswerOf: () => ({ kind: 'unasked' }) };
    expect(story.tick()).toEqual([]);
    expect(story.cacheQuestions).toEqual(['a']);
    story.over = { leaseAnswerOf: () => ({ kind: 'unasked' }) };
    expect(story.tick()).toEqual([]);
    expect(story.leaseQuestions).toEqual(['a']);
  });

  it('writes the lease and the version of the phase into the attempt', () => {
    const { story } = waiting({ id: 'a', resources: { cpu: 1 } }, {});
    story.over = { leaseAnswerOf: () => ({ kind: 'granted', lease }), phaseVersionOf: () => '1.2.0' };
    expect(story.tick()).toEqual(['stepScheduled a']);
    expect(story.step('a').attempts[0]).toMatchObject({ phaseVersion: '1.2.0', lease: { pool: 'host' } });
  });

  it('schedules nothing of a phase whose breaker is open', () => {
    const { story } = waiting({ id: 'a' }, { breakerOf: () => ({ isOpen: true }) });
    expect(story.tick()).toEqual([]);
    story.over = { breakerOf: () => ({ isOpen: false }) };
    expect(story.tick()).toEqual(['stepScheduled a']);
  });
});
