import { WaitKind } from '@agentforge/contracts';
import type { Wait } from './wait.js';

/** What the breaker of a phase says about another attempt. */
export interface BreakerAnswer {
  /** Whether it is open: no attempt may be scheduled now. */
  readonly isOpen: boolean;
  /** When it will let one pass, while it is open. */
  readonly retryMs?: number;
  /** It lets one attempt pass as soon as a step has asked for it. */
  readonly asksProbe?: boolean;
}

/**
 * Whether the breaker of the phase lets an attempt pass.
 * @param answer  undefined: the phase has no breaker
 */
export function breakerGate(
  answer: BreakerAnswer | undefined,
): { wait: Wait; asksProbe?: boolean } | undefined {
  if (!answer?.isOpen) return undefined;
  const { retryMs, asksProbe } = answer;
  return {
    wait: { kind: WaitKind.BREAKER_OPEN, ...(retryMs === undefined ? {} : { untilMs: retryMs }) },
    ...(asksProbe ? { asksProbe } : {}),
  };
}
