import { CapacityService, type GetQuotaRequest, type UpdateQuotaRequest } from '@agentforge/contracts';
import { GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { EngineStatusPort } from './ports/engine-status.port.js';
import { QuotaUseCases } from './quotas/quotas.service.js';

/** gRPC edge of pools and quotas. */
@GrpcService(CapacityService)
export class CapacityController implements ServiceHandlers<typeof CapacityService> {
  constructor(
    private readonly quotas: QuotaUseCases,
    private readonly status: EngineStatusPort,
  ) {}

  async getCapacity() {
    return { pools: await this.status.pools() };
  }

  async getQuota({ name }: GetQuotaRequest) {
    return { quota: await this.quotas.get(name) };
  }

  async updateQuota(request: UpdateQuotaRequest) {
    return { quota: await this.quotas.update(request) };
  }
}
