import type { Breaker, EngineStatusService, Pool, WaitReason } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { EngineStatusPort } from '../ports/engine-status.port.js';

/** Runs and steps are shown without what they wait for when the engine does not say it within this. */
const EXPLAIN_MS = 2_000;

/** What the orchestrator knows, over gRPC. */
export class GrpcEngineStatus extends EngineStatusPort {
  constructor(private readonly client: Client<typeof EngineStatusService>) {
    super();
  }

  explainStep(run: string, stepId: string, includesCache: boolean) {
    return this.client.explainExecutionStep({ run, stepId, includeCache: includesCache });
  }

  async explainRun(run: string): Promise<ReadonlyMap<string, WaitReason[]>> {
    const { steps } = await this.client.explainExecution({ run }, { deadlineMs: EXPLAIN_MS });
    return new Map(steps.map(({ stepId, waits }) => [stepId, waits]));
  }

  usageOf(project: string) {
    return this.client.getProjectUsage({ project: `projects/${project}` });
  }

  async breakers(): Promise<Breaker[]> {
    return (await this.client.listPhaseBreakers({})).breakers;
  }

  async pools(): Promise<Pool[]> {
    return (await this.client.listPools({})).pools;
  }
}
