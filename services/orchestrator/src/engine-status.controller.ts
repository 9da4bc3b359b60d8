import { EngineStatusService, type ExplainExecutionStepRequest } from '@agentforge/contracts';
import { GrpcService, notYet, type ServiceHandlers } from '@agentforge/service-kit';

/** gRPC edge of what only the engine knows: why a step waits, breakers, pools. */
@GrpcService(EngineStatusService)
export class EngineStatusController implements ServiceHandlers<typeof EngineStatusService> {
  async explainExecutionStep(_: ExplainExecutionStepRequest) {
    return notYet('ExplainExecutionStep');
  }

  async listPhaseBreakers() {
    return notYet('ListPhaseBreakers');
  }

  async listPools() {
    return notYet('ListPools');
  }
}
