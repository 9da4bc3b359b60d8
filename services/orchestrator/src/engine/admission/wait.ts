import type { ResourceRequest, WaitKind } from '@agentforge/contracts';

/** Why a step waits, as far as one gate knows; the words are added where it is told to somebody. */
export interface Wait {
  readonly kind: WaitKind;
  /** When the wait ends by itself, if that is known. */
  readonly untilMs?: number;
  /** Steps that it waits for. */
  readonly stepIds?: readonly string[];
  /** What is missing in the pool that is nearest to having it. */
  readonly missing?: ResourceRequest;
  /** What the kind alone does not say, in words. */
  readonly detail?: string;
  /** Place in the queue, 1 for the next. */
  readonly position?: number;
}
