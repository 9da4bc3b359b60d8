import { type BreakerSchema, BreakerState, FailureClass } from '@agentforge/contracts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Breaker, BreakerStateName } from './domain/breaker.js';

const STATES: Readonly<Record<BreakerStateName, BreakerState>> = {
  closed: BreakerState.CLOSED,
  open: BreakerState.OPEN,
  'half-open': BreakerState.HALF_OPEN,
};

/** A breaker as callers see it. */
export function toBreaker(entry: {
  readonly phase: string;
  readonly breaker: Breaker;
  readonly state: BreakerStateName;
}): MessageInitShape<typeof BreakerSchema> {
  const { phase, breaker, state } = entry;
  const { failures, successes, openedMs, retryMs, lastFailure } = breaker;
  return {
    phase,
    state: STATES[state],
    failures,
    successes,
    ...(openedMs > 0 ? { openTime: timestampFromMs(openedMs) } : {}),
    ...(state === 'open' ? { retryTime: timestampFromMs(retryMs) } : {}),
    ...(lastFailure ? { lastFailure: { ...lastFailure, failureClass: FailureClass.TRANSIENT } } : {}),
  };
}
