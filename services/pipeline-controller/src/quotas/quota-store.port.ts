import type { QuotaLimits, StoredQuota } from '@agentforge/events';

/** The limits of projects; durable, and heard by the engine. */
export abstract class QuotaStore {
  abstract get(project: string): Promise<StoredQuota>;
  /** @returns the new revision. @throws ABORTED: it is not at that revision any more */
  abstract put(project: string, limits: QuotaLimits, revision: number): Promise<number>;
}
