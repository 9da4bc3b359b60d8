/** When a breaker opens and closes. */
export interface BreakerPolicy {
  /** Failures in a row that open it; 0: it never opens. */
  readonly failures: number;
  /** How long it stays open. */
  readonly openMs: number;
  /** Successes in a row that close it again. */
  readonly successes: number;
}

/** What opened a breaker. */
export interface BreakerFailure {
  readonly code: string;
  readonly message: string;
  readonly reason: string;
}

/** The circuit breaker of one phase. It is half open when it is open and its time is over. */
export interface Breaker {
  readonly isOpen: boolean;
  /** Failures in a row, while closed. */
  readonly failures: number;
  /** Successes in a row, while half open. */
  readonly successes: number;
  /** When it opened last; 0 for never. */
  readonly openedMs: number;
  /** When it becomes half open. */
  readonly retryMs: number;
  /** The step that may pass while it is half open; its place is free again at that time. */
  readonly probe?: { readonly step: string; readonly untilMs: number };
  readonly lastFailure?: BreakerFailure;
}

/** Where a breaker may stand. */
export const BREAKER_STATES = ['closed', 'open', 'half-open'] as const;
/** One of {@link BREAKER_STATES}. */
export type BreakerStateName = (typeof BREAKER_STATES)[number];

/**
 * What came of an attempt: a failure that may be the fault of the phase's workers, a sign that they work, or neither.
 * `step` names the step over all runs.
 */
export type Outcome =
  | {
      readonly kind: 'failure';
      readonly step: string;
      readonly atMs: number;
      readonly failure: BreakerFailure;
    }
  | { readonly kind: 'success' | 'neutral'; readonly step: string; readonly atMs: number };

/** A breaker that nothing happened to. */
export const NEW_BREAKER: Breaker = { isOpen: false, failures: 0, successes: 0, openedMs: 0, retryMs: 0 };

/** Where a breaker stands at a time. */
export function breakerState({ isOpen, retryMs }: Breaker, nowMs: number): BreakerStateName {
  return isOpen ? (nowMs < retryMs ? 'open' : 'half-open') : 'closed';
}

/**
 * The breaker after an outcome; the same object when it changes nothing. While it is open, what was scheduled before
 * says nothing new. Pure.
 */
export function afterOutcome(breaker: Breaker, outcome: Outcome, policy: BreakerPolicy): Breaker {
  switch (breakerState(breaker, outcome.atMs)) {
    case 'closed':
      return whileClosed(breaker, outcome, policy);
    case 'open':
      return breaker;
    case 'half-open':
      return whileHalfOpen(breaker, outcome, policy);
  }
}

function whileClosed(breaker: Breaker, outcome: Outcome, policy: BreakerPolicy): Breaker {
  if (outcome.kind !== 'failure')
    return outcome.kind === 'neutral' || breaker.failures === 0 ? breaker : { ...breaker, failures: 0 };
  const failures = breaker.failures + 1;
  if (policy.failures > 0 && failures >= policy.failures) return opened(outcome, failures, policy);
  return { ...breaker, failures, lastFailure: outcome.failure };
}

function whileHalfOpen(breaker: Breaker, outcome: Outcome, policy: BreakerPolicy): Breaker {
  if (outcome.kind === 'failure') return opened(outcome, breaker.failures, policy);
  const { probe, ...rest } = breaker;
  const left = probe === undefined || probe.step === outcome.step ? rest : { ...rest, probe };
  if (outcome.kind === 'neutral') return probe?.step === outcome.step ? left : breaker;
  const successes = breaker.successes + 1;
  if (successes < policy.successes) return { ...left, successes };
  return { ...rest, isOpen: false, failures: 0, successes: 0 };
}

const opened = (
  { atMs, failure }: Extract<Outcome, { kind: 'failure' }>,
  failures: number,
  { openMs }: BreakerPolicy,
): Breaker => ({
  isOpen: true,
  failures,
  successes: 0,
  openedMs: atMs,
  retryMs: atMs + openMs,
  lastFailure: failure,
});

/** Whether an attempt of a step may be scheduled. */
export function mayPass(breaker: Breaker, step: string, nowMs: number): boolean {
  return breakerState(breaker, nowMs) === 'closed' || isProbe(breaker, step, nowMs);
}

/** Whether the place of the one attempt that may pass is free. */
export function wantsProbe(breaker: Breaker, nowMs: number): boolean {
  return breakerState(breaker, nowMs) === 'half-open' && !((breaker.probe?.untilMs ?? 0) > nowMs);
}

/** Gives the place to a step; undefined when it is not to be had. The step keeps it for as long as a breaker is open. */
export function withProbe(
  breaker: Breaker,
  step: string,
  nowMs: number,
  { openMs }: BreakerPolicy,
): Breaker | undefined {
  return wantsProbe(breaker, nowMs) ? { ...breaker, probe: { step, untilMs: nowMs + openMs } } : undefined;
}

const isProbe = (breaker: Breaker, step: string, nowMs: number): boolean =>
  breakerState(breaker, nowMs) === 'half-open' &&
  breaker.probe?.step === step &&
  breaker.probe.untilMs > nowMs;
