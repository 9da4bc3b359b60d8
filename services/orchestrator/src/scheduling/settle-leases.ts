import type { RunEvent } from '@agentforge/contracts';
import { type RunRecord, stepOf } from '@agentforge/events';
import type { LeaseScheduler } from './lease-scheduler.js';
import type { RunCensus } from './run-census.js';
import type { RunLeases } from './run-leases.js';

/** What all runs of a replica share: who uses what, and who grants it. */
export interface Scheduling {
  readonly census: RunCensus;
  readonly scheduler: LeaseScheduler;
}

/** Lets go of what committed events end, whoever decided them: a place in the order, a lease. */
export function settleLeases(
  events: readonly RunEvent[],
  state: RunRecord,
  leases: RunLeases,
  scheduler: LeaseScheduler,
): void {
  for (const { payload } of events) {
    switch (payload.case) {
      case 'stepScheduled':
        leases.settle(payload.value.stepId, payload.value.attemptId);
        break;
      case 'stepAttemptFailed':
      case 'stepReported':
        scheduler.release(payload.value.attemptId);
        break;
      case 'stepCancelled':
      case 'stepCacheHit': {
        leases.settle(payload.value.stepId);
        const attempt = stepOf(state, payload.value.stepId)?.attempts.at(-1);
        if (attempt) scheduler.release(attempt.id);
        break;
      }
      default:
    }
  }
}
