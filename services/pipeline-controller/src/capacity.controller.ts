import { CapacityService } from '@agentforge/contracts';
import { GrpcService, notYet, type ServiceHandlers } from '@agentforge/service-kit';

/** gRPC edge of pools and quotas. */
@GrpcService(CapacityService)
export class CapacityController implements ServiceHandlers<typeof CapacityService> {
  async getCapacity() {
    return notYet('GetCapacity');
  }

  async getQuota() {
    return notYet('GetQuota');
  }

  async updateQuota() {
    return notYet('UpdateQuota');
  }
}
