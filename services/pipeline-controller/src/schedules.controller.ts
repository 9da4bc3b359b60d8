import { ScheduleService } from '@agentforge/contracts';
import { GrpcService, notYet, type ServiceHandlers } from '@agentforge/service-kit';

/** gRPC edge of schedules. */
@GrpcService(ScheduleService)
export class ScheduleController implements ServiceHandlers<typeof ScheduleService> {
  async createSchedule() {
    return notYet('CreateSchedule');
  }

  async getSchedule() {
    return notYet('GetSchedule');
  }

  async listSchedules() {
    return notYet('ListSchedules');
  }

  async updateSchedule() {
    return notYet('UpdateSchedule');
  }

  async deleteSchedule() {
    return notYet('DeleteSchedule');
  }

  async pauseSchedule() {
    return notYet('PauseSchedule');
  }

  async resumeSchedule() {
    return notYet('ResumeSchedule');
  }

  async triggerSchedule() {
    return notYet('TriggerSchedule');
  }
}
