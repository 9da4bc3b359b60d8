import { CachePolicy, type StepResult, WaitKind } from '@agentforge/contracts';
import type { StepRecord } from '@agentforge/events';
import type { Wait } from './wait.js';

/** An earlier result of the same work. */
export interface CachedResult {
  /** Digest of all that the result depends on. */
  readonly key: string;
  readonly result: StepResult;
  /** `projects/{project}/runs/{run}` of the step that did the work. */
  readonly sourceRun: string;
  readonly sourceStepId: string;
}

/** What the step cache said about a step. */
export type CacheAnswer =
  | { readonly kind: 'unasked' }
  | { readonly kind: 'asking' }
  | { readonly kind: 'miss' }
  | ({ readonly kind: 'hit' } & CachedResult);

/**
 * Whether an earlier result takes the place of the step's work.
 * @param answer  undefined: there is no cache
 */
export function cacheGate(
  step: StepRecord,
  answer: CacheAnswer | undefined,
): 'ask-cache' | { reuse: CachedResult } | { wait: Wait } | undefined {
  const { cache } = step.spec;
  if (answer === undefined || step.fallback !== '') return undefined;
  if (cache === CachePolicy.OFF || cache === CachePolicy.REFRESH) return undefined;
  switch (answer.kind) {
    case 'unasked':
      return 'ask-cache';
    case 'asking':
      return { wait: { kind: WaitKind.CACHE_LOOKUP } };
    case 'miss':
      return undefined;
    case 'hit':
      return { reuse: answer };
  }
}
