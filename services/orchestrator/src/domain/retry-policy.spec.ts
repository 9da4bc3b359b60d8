import fc from 'fast-check';
import { DEFAULT_RETRY, fractionOf, retryDelayMs } from './retry-policy.js';

const policy = { ...DEFAULT_RETRY, jitter: 0 };

describe('retryDelayMs()', () => {
  it('doubles the wait with each failure', () => {
    const five = { ...policy, maxAttempts: 5 };
    const waits = [1, 2, 3, 4].map((failed) => retryDelayMs(five, failed, 'transient', 'a'));
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  it('does not wait longer than the longest wait', () => {
    const many = { ...policy, maxAttempts: 100 };
    expect(retryDelayMs(many, 99, 'transient', 'a')).toBe(60_000);
  });

  it('gives no wait after the last attempt and after a permanent failure', () => {
    expect(retryDelayMs(policy, 3, 'transient', 'a')).toBeUndefined();
    expect(retryDelayMs(policy, 1, 'permanent', 'a')).toBeUndefined();
  });

  it('waits four times as long for a resource', () => {
    expect(retryDelayMs(policy, 1, 'resource', 'a')).toBe(4_000);
  });

  it('takes at most the share of jitter off, the same for the same attempt', () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ min: 0, max: 1, noNaN: true }), (id, jitter) => {
        const wait = retryDelayMs({ ...policy, jitter }, 1, 'transient', id);
        expect(wait).toBe(retryDelayMs({ ...policy, jitter }, 1, 'transient', id));
        expect(wait).toBeLessThanOrEqual(1_000);
        expect(wait).toBeGreaterThanOrEqual(Math.floor(1_000 * (1 - jitter)));
      }),
    );
  });
});

describe('fractionOf()', () => {
  it('spreads the ids of a step over [0, 1)', () => {
    const fractions = Array.from({ length: 1_000 }, (_, i) => fractionOf(`p.r.s.${i}`));
    const tenths = new Set(fractions.map((fraction) => Math.floor(fraction * 10)));
    expect(tenths.size).toBe(10);
    expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...fractions)).toBeLessThan(1);
  });
});
