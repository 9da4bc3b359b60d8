import { AttemptState, FailureClass, RunState, StepState } from '@agentforge/contracts';
import { Story } from '../../test/story.js';

const lost = (failureClass: FailureClass, reason = 'DEAD_LETTERED') => ({
  case: 'failed' as const,
  value: {
    failure: { code: 'DATA_LOSS', message: 'kept as dead letter 7', reason, failureClass },
    deadLetterSequence: 7n,
  },
});
/** Nobody knows the token of a task that nobody can read. */
const unknown = { fencingToken: 0n, worker: '' };

describe('a task that became a dead letter', () => {
  it('fails its attempt, which is tried again, and names the letter', () => {
    const story = Story.of([{ id: 'a' }]);
    expect(story.report('a', lost(FailureClass.TRANSIENT), unknown)).toEqual(['stepAttemptFailed a']);
    expect(story.log.at(-1)?.payload.value).toMatchObject({ deadLetterSequence: 7n });
    expect(story.step('a').attempts[0]).toMatchObject({
      state: AttemptState.FAILED,
      failure: { reason: 'DEAD_LETTERED' },
    });
    expect(story.wait(2_000)).toEqual(['stepScheduled a']);
  });

  it('fails the run when no attempt is left, and the fallback is done first', () => {
    const story = new Story();
    story.fallback = 'unchanged';
    story.begin([{ id: 'a' }]);
    expect(story.report('a', lost(FailureClass.PERMANENT, 'POISON_TASK'), unknown)).toEqual([
      'stepAttemptFailed a',
      'stepFallbackUsed a',
      'stepScheduled a',
    ]);
    story.report('a', lost(FailureClass.PERMANENT, 'POISON_TASK'), unknown);
    expect(story.step('a')).toMatchObject({ state: StepState.FAILED, failure: { reason: 'POISON_TASK' } });
    expect(story.state?.state).toBe(RunState.FAILED);
  });

  it('ends also an attempt that a worker started, and that worker is refused from then on', () => {
    const story = Story.of([{ id: 'a' }]);
    const { id: attemptId = '', fencingToken = 0n } = story.step('a').attempts[0] ?? {};
    story.start('a');
    expect(story.report('a', lost(FailureClass.TRANSIENT), unknown)).toEqual(['stepAttemptFailed a']);
    story.wait(2_000);
    expect(story.succeed('a', { attemptId, fencingToken })).toEqual(['reportRefused a']);
  });

  it('says nothing about an attempt that ended, or one that is not the current one', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b', after: ['a'] }]);
    expect(story.report('a', lost(FailureClass.TRANSIENT), { ...unknown, attemptId: 'p.r.a.9' })).toEqual([]);
    story.start('a');
    story.succeed('a');
    expect(story.report('a', lost(FailureClass.TRANSIENT), unknown)).toEqual([]);
    expect(story.step('a').state).toBe(StepState.COMPLETED);
  });
});

describe('a report about a step that the run does not have', () => {
  it('is refused, so that it becomes a dead letter', () => {
    const story = Story.of([{ id: 'a' }]);
    expect(() => story.start('a', { stepId: 'nobody' })).toThrow(
      expect.objectContaining({ reason: 'STEP_UNKNOWN', code: 'FAILED_PRECONDITION' }),
    );
    expect(story.state?.eventCount).toBe(3n);
  });
});
