import fc from 'fast-check';
import { judgeDelivery, lastDelivery } from './deliveries.js';

const ACK_WAIT_MS = 1_000;
const verdicts = (count: number, tries: number, progressAt = 0) =>
  Array.from({ length: count }, (_, i) => judgeDelivery(progressAt + i + 1, progressAt, tries, ACK_WAIT_MS));

describe('judgeDelivery()', () => {
  it('runs three times at once, then lets others run in between, then gives up', () => {
    expect(verdicts(8, 5)).toEqual([
      'run',
      'run',
      'run',
      { waitMs: 1_000 },
      'run',
      { waitMs: 2_000 },
      'run',
      'poison',
    ]);
    expect(verdicts(3, 2)).toEqual(['run', 'run', 'poison']);
    expect(verdicts(2, 1)).toEqual(['run', 'poison']);
  });

  it('runs exactly as often as there are tries, whatever they are and wherever the task got on last', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 1_000 }),
        (tries, progressAt) => {
          const seen = verdicts(lastDelivery(tries), tries, progressAt);
          expect(seen.filter((verdict) => verdict === 'run')).toHaveLength(tries);
          expect(seen.at(-1)).toBe('run');
          expect(judgeDelivery(progressAt + lastDelivery(tries) + 1, progressAt, tries, ACK_WAIT_MS)).toBe(
            'poison',
          );
        },
      ),
    );
  });

  it('waits ever longer, and never longer than a minute', () => {
    const waits = verdicts(lastDelivery(20), 20).flatMap((v) => (typeof v === 'object' ? [v.waitMs] : []));
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits.at(-1)).toBe(60_000);
  });

  it('counts a delivery as a try also when the index is ahead of it', () => {
    expect(judgeDelivery(2, 9, 1, ACK_WAIT_MS)).toBe('run');
  });
});
