import {
  type DeleteDeadLetterRequest,
  type GetDeadLetterRequest,
  type ListDeadLettersRequest,
  OperationsService,
  type RedriveDeadLetterRequest,
} from '@agentforge/contracts';
import { GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { toDeadLetter, toQueue } from './operations.mapper.js';
import { OperationsUseCases } from './operations.service.js';
import { EngineStatusPort } from './ports/engine-status.port.js';

/** gRPC edge of dead letters, breakers and queues. */
@GrpcService(OperationsService)
export class OperationsController implements ServiceHandlers<typeof OperationsService> {
  constructor(
    private readonly useCases: OperationsUseCases,
    private readonly status: EngineStatusPort,
  ) {}

  async listDeadLetters(request: ListDeadLettersRequest) {
    const { letters, nextPageToken } = await this.useCases.list(request);
    return { deadLetters: letters.map((letter) => toDeadLetter(letter)), nextPageToken };
  }

  async getDeadLetter({ sequence }: GetDeadLetterRequest) {
    const letter = await this.useCases.get(sequence);
    return { deadLetter: toDeadLetter(letter, letter.data) };
  }

  async redriveDeadLetter({ sequence }: RedriveDeadLetterRequest) {
    const { subject, isStepRetried } = await this.useCases.redrive(sequence);
    return { subject, stepRetried: isStepRetried };
  }

  async deleteDeadLetter({ sequence }: DeleteDeadLetterRequest) {
    await this.useCases.delete(sequence);
    return {};
  }

  async listBreakers() {
    return { breakers: [...(await this.status.breakers())] };
  }

  async listQueues() {
    return { queues: (await this.useCases.listQueues()).map(toQueue) };
  }
}
