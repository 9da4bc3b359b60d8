import type { ArtifactRef } from '@agentforge/contracts';
import type { CachedStep } from '@agentforge/events';

/** Results of earlier steps, and whether what they point to is still there. */
export abstract class StepResults {
  /** The result that was kept under a key, within a project. */
  abstract find(project: string, key: string): Promise<CachedStep | undefined>;
  /** Some of the newest results of a phase; a bounded number. */
  abstract neighbours(project: string, phase: string, stepId: string): Promise<readonly CachedStep[]>;
  /** Keeps a result, in place of an earlier one with its key. */
  abstract keep(step: CachedStep): Promise<void>;
  /** Digests that are no longer stored; what is there counts as used now, so that it is not collected. */
  abstract missing(artifacts: readonly ArtifactRef[]): Promise<readonly string[]>;
}
