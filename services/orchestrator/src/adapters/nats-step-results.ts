import type { ArtifactStore } from '@agentforge/artifacts';
import type { ArtifactRef } from '@agentforge/contracts';
import type { CachedStep, StepCache } from '@agentforge/events';
import { StepResults } from '../ports/step-results.port.js';

/** Results in a bucket, what they point to in the artifact store. */
export class NatsStepResults extends StepResults {
  constructor(
    private readonly cache: StepCache,
    private readonly store: ArtifactStore,
  ) {
    super();
  }

  find(project: string, key: string): Promise<CachedStep | undefined> {
    return this.cache.get(project, key);
  }

  neighbours(project: string, phase: string, stepId: string): Promise<readonly CachedStep[]> {
    return this.cache.neighbours(project, phase, stepId);
  }

  keep(step: CachedStep): Promise<void> {
    return this.cache.put(step);
  }

  async missing(artifacts: readonly ArtifactRef[]): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const { digest } of artifacts) missing.push(...(await this.store.keep(digest)));
    return missing;
  }
}
