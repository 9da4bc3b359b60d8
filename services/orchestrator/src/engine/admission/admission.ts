import { type Lease, WaitKind } from '@agentforge/contracts';
import { isWhole, type RunRecord, type StepRecord } from '@agentforge/events';
import type { DecideContext } from '../inputs.js';
import { breakerGate } from './breaker.js';
import { type CachedResult, cacheGate } from './cache.js';
import { hasSlot, heldSlots } from './explain.js';
import { inputsGate } from './inputs.js';
import { leaseGate } from './lease.js';
import { runGate, slotGate, timeGate } from './run.js';
import type { Wait } from './wait.js';

/**
 * What is to be done with a step next: schedule an attempt, ask somebody first, complete it with an earlier result,
 * or wait.
 */
export type Admission =
  | 'schedule'
  | 'check-inputs'
  | 'ask-cache'
  | 'ask-lease'
  | { readonly reuse: CachedResult }
  | { readonly wait: Wait; readonly asksProbe?: boolean };

/** What a gate says: undefined lets the step pass to the next one. */
export type Gate = Admission | undefined;

/**
 * What is to be done with a step that has not ended and has no attempt. Pure, and O(1) for a READY step; the first gate
 * that objects decides. The order is from cheap to dear: the state, the step cache (a hit needs no worker, no judge
 * and no lease), a slot of the run, the breaker, the judgement of the inputs, and last the lease, so that nothing is
 * held while another gate is closed.
 */
export function admission(run: RunRecord, step: StepRecord, context: DecideContext): Admission {
  const { id, phase } = step.spec;
  const lease = context.leaseAnswerOf?.(step);
  return (
    runGate(run, step, isWhole(run)) ??
    timeGate(step, context.nowMs) ??
    cacheGate(step, context.cacheAnswerOf?.(step)) ??
    (context.checking.has(id) ? { wait: { kind: WaitKind.INPUT_CHECK } } : undefined) ??
    (hasSlot(lease) ? undefined : slotGate(run, context.defaultParallelSteps, heldSlots(context))) ??
    breakerGate(context.breakerOf?.(phase, id)) ??
    inputsGate(step, context.areInputsAccepted(id)) ??
    leaseGate(lease) ??
    'schedule'
  );
}

/** The lease that a step may be scheduled with; undefined when it needs none. */
export function grantedLease(step: StepRecord, context: DecideContext): Lease | undefined {
  const answer = context.leaseAnswerOf?.(step);
  return answer?.kind === 'granted' ? answer.lease : undefined;
}
