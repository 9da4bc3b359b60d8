import type { Lease, ResourceRequest } from '@agentforge/contracts';
import type { StepRecord } from '@agentforge/events';
import type { Wait } from './wait.js';

/** What the scheduler said about the resources of a step. */
export type LeaseAnswer =
  | { readonly kind: 'unasked' }
  | { readonly kind: 'waiting'; readonly wait: Wait }
  | { readonly kind: 'granted'; readonly lease: Lease };

/**
 * Whether the step has the resources that it asks for.
 * @param answer  undefined: nobody grants leases, so none is needed
 */
export function leaseGate(
  step: StepRecord,
  answer: LeaseAnswer | undefined,
): 'ask-lease' | { wait: Wait } | undefined {
  if (answer === undefined || !needsLease(step.spec.resources)) return undefined;
  switch (answer.kind) {
    case 'unasked':
      return 'ask-lease';
    case 'waiting':
      return { wait: answer.wait };
    case 'granted':
      return undefined;
  }
}

/** Whether anything is asked for. */
export function needsLease(request: ResourceRequest | undefined): request is ResourceRequest {
  if (request === undefined) return false;
  return request.cpu > 0 || request.memoryBytes > 0n || request.gpus > 0 || request.gpuMemoryBytes > 0n;
}
