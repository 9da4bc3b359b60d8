import { ProgressReporter, type ProgressUpdate } from './progress-reporter.js';
import { thin } from './thin.js';

const point = (step: number, subject = 'a') => ({ series: 'loss', subject, step, value: step });

describe('ProgressReporter', () => {
  function reporter() {
    const sent: ProgressUpdate[] = [];
    const clock = { ms: 0 };
    const progress = new ProgressReporter(
      (update) => sent.push(update),
      () => clock.ms,
    );
    return { sent, clock, progress };
  }

  it('sends at most five messages a second, with everything in between', () => {
    const { sent, clock, progress } = reporter();
    for (clock.ms = 0; clock.ms < 1000; clock.ms += 10)
      progress.report(clock.ms / 1000, 'work', [point(clock.ms)]);
    expect(sent).toHaveLength(5);
    progress.flush();
    expect(sent.flatMap(({ points }) => points)).toHaveLength(100);
  });

  it('never goes back, and stays within 0 and 1', () => {
    const { sent, clock, progress } = reporter();
    for (const fraction of [0.5, 0.2, 7, Number.NaN]) {
      progress.report(fraction, 'work');
      clock.ms += 1000;
    }
    expect(sent.map(({ fraction }) => fraction)).toEqual([0.5, 0.5, 1, 1]);
  });

  it('drops values that are not finite', () => {
    const { sent, progress } = reporter();
    progress.report(0, 'work', [{ ...point(1), value: Number.NaN }, point(2)]);
    expect(sent[0]?.points).toEqual([point(2)]);
  });

  it('stays small however much is reported', () => {
    const { sent, progress } = reporter();
    progress.report(0, 'work');
    for (let i = 0; i < 100_000; i++) progress.report(0, 'work', [point(i)]);
    progress.flush();
    const points = sent.at(-1)?.points ?? [];
    expect(points.length).toBeLessThanOrEqual(256);
    expect(points.at(-1)?.step).toBe(99_999);
  });
});

describe('thin()', () => {
  it('keeps the ends of each curve', () => {
    const points = Array.from({ length: 1000 }, (_, i) => point(i, i % 2 === 0 ? 'even' : 'odd'));
    const kept = thin(points, 10);
    expect(kept).toHaveLength(10);
    expect(kept.map(({ step }) => step)).toEqual([0, 250, 500, 748, 998, 1, 251, 501, 749, 999]);
  });

  it('keeps the last points when curves outnumber the limit', () => {
    const points = Array.from({ length: 20 }, (_, i) => point(i, `s${i % 10}`));
    expect(thin(points, 10).map(({ step }) => step)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });
});
