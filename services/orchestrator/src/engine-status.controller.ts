import {
  EngineStatusService,
  type ExplainExecutionRequest,
  type ExplainExecutionStepRequest,
  type GetProjectUsageRequest,
} from '@agentforge/contracts';
import { GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { toBreaker } from './breaker.mapper.js';
import { Breakers } from './engine/breaker.js';
import { OrchestratorUseCases } from './orchestrator.service.js';
import { toResources } from './scheduling/scheduling.mapper.js';
import { toWaitReason } from './waiting.mapper.js';

/** gRPC edge of what only the engine knows: why a step waits, breakers, pools. */
@GrpcService(EngineStatusService)
export class EngineStatusController implements ServiceHandlers<typeof EngineStatusService> {
  constructor(
    private readonly useCases: OrchestratorUseCases,
    private readonly breakers: Breakers,
  ) {}

  async explainExecutionStep({ run, stepId, includeCache }: ExplainExecutionStepRequest) {
    const waits = (await this.useCases.explainStep(run, stepId)).map(toWaitReason);
    return includeCache ? { waits, cache: await this.useCases.explainCache(run, stepId) } : { waits };
  }

  async explainExecution({ run }: ExplainExecutionRequest) {
    const steps = await this.useCases.explainRun(run);
    return { steps: steps.map(({ stepId, waits }) => ({ stepId, waits: waits.map(toWaitReason) })) };
  }

  async getProjectUsage({ project }: GetProjectUsageRequest) {
    const { leased, ...counts } = this.useCases.usageOf(project);
    return { ...counts, leased: toResources(leased) };
  }

  async listPhaseBreakers() {
    return { breakers: this.breakers.list().map(toBreaker) };
  }

  async listPools() {
    return { pools: [...this.useCases.pools()] };
  }
}
