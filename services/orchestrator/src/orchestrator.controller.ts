import {
  type CancelExecutionRequest,
  type GetExecutionRequest,
  OrchestrationService,
  type PauseExecutionRequest,
  type ResumeExecutionRequest,
  type RetryExecutionRequest,
  type StartExecutionRequest,
  type ValidateGraphRequest,
} from '@agentforge/contracts';
import { type RunRecord, toRun } from '@agentforge/events';
import { GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { OrchestratorUseCases } from './orchestrator.service.js';

/** gRPC edge of the engine. */
@GrpcService(OrchestrationService)
export class OrchestratorController implements ServiceHandlers<typeof OrchestrationService> {
  constructor(private readonly useCases: OrchestratorUseCases) {}

  async validateGraph(request: ValidateGraphRequest) {
    const { violations, graph } = await this.useCases.validate(request.graph);
    return { violations: violations.map((violation) => ({ ...violation })), ...(graph ? { graph } : {}) };
  }

  async startExecution(request: StartExecutionRequest) {
    return answer(await this.useCases.start(request));
  }

  async getExecution({ name }: GetExecutionRequest) {
    return answer(await this.useCases.get(name));
  }

  async pauseExecution({ name }: PauseExecutionRequest) {
    return answer(await this.useCases.command(name, { kind: 'pause' }));
  }

  async resumeExecution({ name }: ResumeExecutionRequest) {
    return answer(await this.useCases.command(name, { kind: 'resume' }));
  }

  async cancelExecution({ name, reason }: CancelExecutionRequest) {
    return answer(await this.useCases.command(name, { kind: 'cancel', reason }));
  }

  async retryExecution({ name, stepIds, configOverrides }: RetryExecutionRequest) {
    return answer(await this.useCases.retry(name, stepIds, configOverrides));
  }
}

const answer = (state: RunRecord) => ({ run: toRun(state) });
