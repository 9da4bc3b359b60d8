import { OperationsService } from '@agentforge/contracts';
import { GrpcService, notYet, type ServiceHandlers } from '@agentforge/service-kit';

/** gRPC edge of dead letters, breakers and queues. */
@GrpcService(OperationsService)
export class OperationsController implements ServiceHandlers<typeof OperationsService> {
  async listDeadLetters() {
    return notYet('ListDeadLetters');
  }

  async getDeadLetter() {
    return notYet('GetDeadLetter');
  }

  async redriveDeadLetter() {
    return notYet('RedriveDeadLetter');
  }

  async deleteDeadLetter() {
    return notYet('DeleteDeadLetter');
  }

  async listBreakers() {
    return notYet('ListBreakers');
  }

  async listQueues() {
    return notYet('ListQueues');
  }
}
