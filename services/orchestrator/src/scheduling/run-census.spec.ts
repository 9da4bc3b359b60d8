import { Story } from '../../test/story.js';
import { RunCensus } from './run-census.js';

describe('RunCensus', () => {
  const counts = (census: RunCensus) => {
    const { running, queued, steps } = census.usageOf('p');
    return { running: running.size, queued: queued.size, steps };
  };
  /** A story that one census follows from its start, and what another one says that sees its newest state first. */
  const told = (story: Story) => {
    const census = new RunCensus();
    const look = () => {
      if (!story.state) throw new Error('no run');
      census.observe(story.state);
      const late = new RunCensus();
      late.observe(story.state);
      expect(counts(late)).toEqual(counts(census));
      return counts(census);
    };
    return { census, look };
  };

  it('counts a run as running from its first attempt to its end, also while no step is in progress', () => {
    const story = new Story();
    story.over = { defaultParallelSteps: 0 };
    story.begin([{ id: 'a', retry: { maxAttempts: 2 } }]);
    const { census, look } = told(story);
    expect(look()).toEqual({ running: 0, queued: 1, steps: 0 });
    story.over = {};
    story.tick();
    expect(look()).toEqual({ running: 1, queued: 0, steps: 1 });
    story.start('a');
    story.fail('a');
    expect(look()).toEqual({ running: 1, queued: 0, steps: 0 });
    story.wait(3_600_000);
    story.start('a');
    story.fail('a');
    expect(look()).toEqual({ running: 0, queued: 0, steps: 0 });
    expect(census.active).toBe(0);
  });

  it('counts a run that is retried as queued until an attempt of the retry is scheduled', () => {
    const story = Story.of([{ id: 'a' }, { id: 'b', after: ['a'], retry: { maxAttempts: 1 } }]);
    const { look } = told(story);
    story.start('a');
    story.succeed('a');
    story.start('b');
    story.fail('b');
    look();
    story.nowMs += 1_000;
    story.over = { defaultParallelSteps: 0 };
    story.tell({ kind: 'retry', stepIds: [], configOverrides: {} });
    expect(look()).toEqual({ running: 0, queued: 1, steps: 0 });
    story.tell({ kind: 'pause' });
    expect(look()).toEqual({ running: 0, queued: 1, steps: 0 });
    story.tell({ kind: 'resume' });
    story.over = {};
    story.tick();
    expect(look()).toEqual({ running: 1, queued: 0, steps: 1 });
    story.tell({ kind: 'pause' });
    expect(look()).toEqual({ running: 1, queued: 0, steps: 0 });
  });
});
