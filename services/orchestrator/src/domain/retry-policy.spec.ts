import fc from 'fast-check';
import {
  DEFAULT_RETRY,
  retryDelayMs as delayMs,
  FAILURE_CLASSES,
  type FailureClassName,
  fractionOf,
  isRetryable,
  type RetryPolicy,
} from './retry-policy.js';

const policy: RetryPolicy = { ...DEFAULT_RETRY, jitter: 0 };
const retryDelayMs = (of: RetryPolicy, failed: number, failureClass: FailureClassName, id: string) =>
  delayMs(of, failed, { failureClass, reason: 'BROKEN' }, id);

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

describe('isRetryable()', () => {
  it('is so for transient and resource failures unless the policy says otherwise', () => {
    const classesOf = (over: Partial<RetryPolicy>) =>
      FAILURE_CLASSES.filter((failureClass) =>
        isRetryable({ ...policy, ...over }, { failureClass, reason: 'X' }),
      );
    expect(classesOf({})).toEqual(['transient', 'resource']);
    expect(classesOf({ retryClasses: ['resource'] })).toEqual(['resource']);
    expect(classesOf({ retryClasses: ['permanent'] })).toEqual(['permanent']);
    expect(classesOf({ nonRetryableReasons: ['Y'] })).toEqual(['transient', 'resource']);
    expect(classesOf({ nonRetryableReasons: ['Y', 'X'] })).toEqual([]);
  });

  it('decides whether there is a wait at all', () => {
    const failures = fc.record({
      failureClass: fc.constantFrom(...FAILURE_CLASSES),
      reason: fc.constantFrom('A', 'B'),
    });
    const policies = fc.record({
      retryClasses: fc.subarray([...FAILURE_CLASSES], { minLength: 1 }),
      nonRetryableReasons: fc.subarray(['A', 'B']),
      maxAttempts: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(policies, failures, fc.integer({ min: 1, max: 6 }), (over, failure, failed) => {
        const of = { ...policy, ...over };
        const follows = failed < of.maxAttempts && isRetryable(of, failure);
        expect(delayMs(of, failed, failure, 'a') !== undefined).toBe(follows);
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
