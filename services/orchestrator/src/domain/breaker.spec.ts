import fc from 'fast-check';
import {
  afterOutcome,
  type Breaker,
  type BreakerPolicy,
  breakerState,
  mayPass,
  NEW_BREAKER,
  type Outcome,
  wantsProbe,
  withProbe,
} from './breaker.js';

const POLICY: BreakerPolicy = { failures: 3, openMs: 60, successes: 2 };
const failure = { code: 'UNAVAILABLE', message: 'gone', reason: 'HEARTBEAT_TIMEOUT' };
const fails = (atMs: number, step = 'a'): Outcome => ({ kind: 'failure', step, atMs, failure });
const works = (atMs: number, step = 'a'): Outcome => ({ kind: 'success', step, atMs });
const ends = (atMs: number, step = 'a'): Outcome => ({ kind: 'neutral', step, atMs });
const after = (...outcomes: Outcome[]): Breaker =>
  outcomes.reduce((breaker, outcome) => afterOutcome(breaker, outcome, POLICY), NEW_BREAKER);

describe('a circuit breaker', () => {
  it('opens after failures in a row, becomes half open, and closes after successes in a row', () => {
    expect(breakerState(after(fails(1), fails(2)), 2)).toBe('closed');
    expect(breakerState(after(fails(1), fails(2), works(3), fails(4), fails(5)), 5)).toBe('closed');
    const open = after(fails(1), fails(2), fails(3));
    expect(open).toMatchObject({ openedMs: 3, retryMs: 63, lastFailure: failure });
    expect([3, 62, 63].map((at) => breakerState(open, at))).toEqual(['open', 'open', 'half-open']);
    expect(mayPass(open, 'a', 62)).toBe(false);
    const half = afterOutcome(open, works(70), POLICY);
    expect(breakerState(half, 70)).toBe('half-open');
    expect(afterOutcome(half, works(71), POLICY)).toMatchObject({ isOpen: false, failures: 0, successes: 0 });
    expect(afterOutcome(half, fails(71), POLICY)).toMatchObject({ isOpen: true, retryMs: 131, successes: 0 });
  });

  it('lets one step pass while it is half open, until something is known about it or its time is over', () => {
    const open = after(fails(1), fails(2), fails(3));
    expect(withProbe(open, 'a', 62, POLICY)).toBeUndefined();
    const probed = withProbe(open, 'a', 63, POLICY);
    if (!probed) throw new Error('no probe');
    expect([mayPass(probed, 'a', 64), mayPass(probed, 'b', 64)]).toEqual([true, false]);
    expect(withProbe(probed, 'b', 122, POLICY)).toBeUndefined();
    expect(withProbe(probed, 'b', 123, POLICY)).toBeDefined();
    expect(afterOutcome(probed, ends(70, 'b'), POLICY)).toBe(probed);
    expect(wantsProbe(afterOutcome(probed, ends(70), POLICY), 70)).toBe(true);
    expect(wantsProbe(afterOutcome(probed, works(70), POLICY), 70)).toBe(true);
  });

  it('does not change for what says nothing new', () => {
    expect(afterOutcome(NEW_BREAKER, works(1), POLICY)).toBe(NEW_BREAKER);
    expect(afterOutcome(NEW_BREAKER, ends(1), POLICY)).toBe(NEW_BREAKER);
    const open = after(fails(1), fails(2), fails(3));
    for (const outcome of [fails(4), works(4), ends(4)])
      expect(afterOutcome(open, outcome, POLICY)).toBe(open);
  });

  it('never opens when its policy says so', () => {
    const policy = { ...POLICY, failures: 0 };
    let breaker = NEW_BREAKER;
    for (let i = 0; i < 100; i++) breaker = afterOutcome(breaker, fails(i), policy);
    expect(breakerState(breaker, 100)).toBe('closed');
  });
});

/** The same told by looking back over the whole history each time. */
function modelState(history: readonly Outcome[], policy: BreakerPolicy, nowMs: number): string {
  let opened: number | undefined;
  let row: Outcome['kind'][] = [];
  for (const { kind, atMs } of history) {
    if (kind === 'neutral' || (opened !== undefined && atMs < opened + policy.openMs)) continue;
    row.push(kind);
    const last = (count: number, wanted: string) =>
      row.length >= count && row.slice(-count).every((one) => one === wanted);
    if (opened === undefined ? last(policy.failures, 'failure') : kind === 'failure') {
      opened = atMs;
      row = [];
    } else if (opened !== undefined && last(policy.successes, 'success')) {
      opened = undefined;
      row = [];
    }
  }
  if (opened === undefined) return 'closed';
  return nowMs < opened + policy.openMs ? 'open' : 'half-open';
}

describe('a circuit breaker against its model', () => {
  const policies = fc.record({
    failures: fc.integer({ min: 1, max: 6 }),
    openMs: fc.integer({ min: 1, max: 50 }),
    successes: fc.integer({ min: 1, max: 4 }),
  });
  const histories = fc.array(
    fc.record({
      kind: fc.constantFrom<Outcome['kind']>('failure', 'success', 'neutral'),
      gapMs: fc.integer({ min: 0, max: 30 }),
      step: fc.constantFrom('a', 'b', 'c'),
      isClaiming: fc.boolean(),
    }),
    { maxLength: 60 },
  );

  it('is in the same state after any history, and lets at most one step pass while it is not closed', () => {
    fc.assert(
      fc.property(policies, histories, (policy, story) => {
        const seen: Outcome[] = [];
        let breaker = NEW_BREAKER;
        let nowMs = 1;
        for (const { kind, gapMs, step, isClaiming } of story) {
          nowMs += gapMs;
          if (isClaiming) breaker = withProbe(breaker, step, nowMs, policy) ?? breaker;
          const passing = ['a', 'b', 'c'].filter((one) => mayPass(breaker, one, nowMs));
          const state = breakerState(breaker, nowMs);
          expect(passing.length).toBeLessThanOrEqual({ closed: 3, open: 0, 'half-open': 1 }[state]);
          const outcome: Outcome =
            kind === 'failure' ? { kind, step, atMs: nowMs, failure } : { kind, step, atMs: nowMs };
          seen.push(outcome);
          breaker = afterOutcome(breaker, outcome, policy);
          expect(breakerState(breaker, nowMs)).toBe(modelState(seen, policy, nowMs));
        }
      }),
    );
  });
});
