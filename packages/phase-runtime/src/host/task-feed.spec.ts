import { type StepProgress, StepTaskSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { TaskFeed } from './task-feed.js';

const task = create(StepTaskSchema, { run: 'projects/p/runs/r', stepId: 's', attemptId: 'a' });
const progress = (fraction: number, points: number[] = []) => ({
  kind: 'progress' as const,
  fraction,
  stage: 'work',
  points: points.map((step) => ({ series: 'loss', subject: '', step, value: 1 })),
});

function feedWithClock() {
  const published: StepProgress[] = [];
  const clock = { ms: 0 };
  const feed = new TaskFeed(
    task,
    (one) => published.push(one),
    () => clock.ms,
  );
  return { feed, published, clock };
}

describe('TaskFeed', () => {
  it('publishes progress with points, and keeps the latest without', () => {
    const { feed, published } = feedWithClock();
    feed.progress(progress(0.5, [1, 2]));
    expect(published[0]?.points.map(({ step }) => step)).toEqual([1n, 2n]);
    expect(feed.latest).toMatchObject({ attemptId: 'a', fraction: 0.5, stage: 'work', points: [] });
  });

  it('estimates the time that is left from what this worker did', () => {
    const { feed, clock } = feedWithClock();
    feed.progress(progress(0.5));
    expect(feed.latest.eta).toBeUndefined();
    clock.ms = 10_000;
    feed.progress(progress(0.75));
    expect(feed.latest.eta?.seconds).toBe(10n);
  });

  it.each([
    [0.005, 60_000],
    [0.5, 1_999],
  ])('estimates nothing from %p of the work in %p ms', (fraction, ms) => {
    const { feed, clock } = feedWithClock();
    feed.progress(progress(0));
    clock.ms = ms;
    feed.progress(progress(fraction));
    expect(feed.latest.eta).toBeUndefined();
  });

  it('gives a watcher the latest, then what comes, then ends', async () => {
    const { feed } = feedWithClock();
    feed.progress(progress(0.1));
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { fraction } of feed.watch(new AbortController().signal)) seen.push(fraction);
    })();
    await Promise.resolve();
    feed.progress(progress(0.2));
    await new Promise(setImmediate);
    feed.log({ level: 'info', text: 'line', timeMs: 0 });
    feed.close();
    await watching;
    expect(seen[0]).toBeCloseTo(0.1, 1);
    expect(seen.at(-1)).toBe(0.2);
  });

  it('merges what a slow watcher has not read, and stays bounded', async () => {
    const { feed } = feedWithClock();
    const stream = feed.watch(new AbortController().signal);
    await stream.next();
    const next = stream.next();
    for (let i = 0; i < 5000; i++) feed.progress(progress(0.5, [i]));
    const merged = (await next).value as StepProgress;
    expect(merged.points).toHaveLength(1024);
    expect(merged.points.at(-1)?.step).toBe(4999n);
    await stream.return(undefined);
  });

  it('stops watching when the caller leaves', async () => {
    const { feed } = feedWithClock();
    const leaving = new AbortController();
    const stream = feed.watch(leaving.signal);
    await stream.next();
    const next = stream.next();
    leaving.abort();
    expect((await next).done).toBe(true);
  });
});
