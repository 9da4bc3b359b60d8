import fc from 'fast-check';
import { type DeliveryVerdict, judgeDelivery } from './deliveries.js';

const ACK_WAIT_MS = 1_000;

/** Verdicts on deliveries after a checkpoint, the last one `poison`; each delivery reaches a worker, or nobody. */
function verdicts(tries: number, progressAt = 0, reaches: (delivery: number) => boolean = () => true) {
  const seen: DeliveryVerdict[] = [];
  for (let begun = 0, delivery = progressAt + 1; seen.at(-1) !== 'poison'; delivery++) {
    if (!reaches(delivery)) continue;
    const verdict = judgeDelivery(delivery, { progressAt, begun }, tries, ACK_WAIT_MS);
    if (verdict === 'run') begun++;
    seen.push(verdict);
  }
  return seen;
}

describe('judgeDelivery()', () => {
  it('runs three times at once, then lets others run in between, then gives up', () => {
    expect(verdicts(5)).toEqual([
      'run',
      'run',
      'run',
      { waitMs: 1_000 },
      'run',
      { waitMs: 2_000 },
      'run',
      'poison',
    ]);
    expect(verdicts(2)).toEqual(['run', 'run', 'poison']);
    expect(verdicts(1)).toEqual(['run', 'poison']);
  });

  it('runs exactly as often as there are tries, wherever the task got on last and whatever was delivered to nobody', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 1_000 }),
        fc.infiniteStream(fc.boolean()),
        (tries, progressAt, reached) => {
          const seen = verdicts(tries, progressAt, () => reached.next().value ?? true);
          expect(seen.filter((verdict) => verdict === 'run')).toHaveLength(tries);
        },
      ),
    );
  });

  it('waits ever longer, and never longer than a minute', () => {
    const waits = verdicts(20).flatMap((v) => (typeof v === 'object' ? [v.waitMs] : []));
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits.at(-1)).toBe(60_000);
  });

  it('runs a delivery at once also when the index is ahead of it', () => {
    expect(judgeDelivery(2, { progressAt: 9, begun: 0 }, 1, ACK_WAIT_MS)).toBe('run');
  });
});
