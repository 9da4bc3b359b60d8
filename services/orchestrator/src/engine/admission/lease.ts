import type { Lease, ResourceRequest } from '@agentforge/contracts';
import type { Wait } from './wait.js';

/** What the scheduler said about a step: about its resources, and about the limits of its project. */
export type LeaseAnswer =
  | { readonly kind: 'unasked' }
  | { readonly kind: 'waiting'; readonly wait: Wait }
  /** Without a lease when only a place in the project was asked for. */
  | { readonly kind: 'granted'; readonly lease?: Lease };

/**
 * Whether the step has the resources that it asks for, and its project a place for it.
 * @param answer  undefined: the step needs neither
 */
export function leaseGate(answer: LeaseAnswer | undefined): 'ask-lease' | { wait: Wait } | undefined {
  if (answer === undefined) return undefined;
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
