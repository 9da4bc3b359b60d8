import {
  type CreateScheduleRequest,
  type DeleteScheduleRequest,
  type GetScheduleRequest,
  type ListSchedulesRequest,
  type PauseScheduleRequest,
  type ResumeScheduleRequest,
  ScheduleService,
  type TriggerScheduleRequest,
  type UpdateScheduleRequest,
} from '@agentforge/contracts';
import { GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { ScheduleUseCases } from './schedules/schedules.service.js';

/** gRPC edge of schedules. */
@GrpcService(ScheduleService)
export class ScheduleController implements ServiceHandlers<typeof ScheduleService> {
  constructor(private readonly useCases: ScheduleUseCases) {}

  async createSchedule(request: CreateScheduleRequest) {
    return { schedule: await this.useCases.create(request) };
  }

  async getSchedule({ name }: GetScheduleRequest) {
    return this.useCases.get(name);
  }

  async listSchedules(request: ListSchedulesRequest) {
    return this.useCases.list(request);
  }

  async updateSchedule(request: UpdateScheduleRequest) {
    return { schedule: await this.useCases.update(request) };
  }

  async deleteSchedule({ name }: DeleteScheduleRequest) {
    await this.useCases.delete(name);
    return {};
  }

  async pauseSchedule({ name }: PauseScheduleRequest) {
    return { schedule: await this.useCases.pause(name) };
  }

  async resumeSchedule({ name }: ResumeScheduleRequest) {
    return { schedule: await this.useCases.resume(name) };
  }

  async triggerSchedule({ name, requestId }: TriggerScheduleRequest) {
    return { run: await this.useCases.trigger(name, requestId) };
  }
}
