import {
  type CreateScheduleRequest,
  type ListSchedulesRequest,
  type Schedule,
  ScheduleSchema,
  ScheduleService,
  type UpdateScheduleRequest,
} from '@agentforge/contracts';
import { AppError, type FieldViolation } from '@agentforge/errors';
import { GrpcService } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { at } from './sample-run.js';

/** What the fake front door knows of schedules, and what it is told to do. */
export class FakeSchedules {
  readonly kept = new Map<string, Schedule>();
  readonly calls: string[] = [];
  readonly updates: UpdateScheduleRequest[] = [];
  lastFilter = '';
  /** Violations that the next schedule has. */
  violations: FieldViolation[] = [];
  /** Run that goes on, so that no other may be triggered. */
  activeRun = '';

  find(name: string): Schedule {
    const schedule = this.kept.get(name);
    if (!schedule) throw new AppError('NOT_FOUND', `there is no schedule "${name}"`);
    return schedule;
  }

  /** Keeps a schedule as the server does: it has a next time unless it is paused. */
  keep(schedule: Schedule): { schedule: Schedule } {
    const { nextTime: _, ...rest } = schedule;
    const kept = create(ScheduleSchema, { ...rest, ...(rest.paused ? {} : { nextTime: at(86_400) }) });
    this.kept.set(kept.name, kept);
    return { schedule: kept };
  }

  check(): void {
    if (this.violations.length > 0)
      throw new AppError('INVALID_ARGUMENT', 'the request is not valid', {
        fieldViolations: this.violations,
      });
  }
}

/** The service of schedules, without calendars: nothing is ever due. */
export function fakeScheduleController(schedules: () => FakeSchedules) {
  @GrpcService(ScheduleService)
  class FakeScheduleController {
    createSchedule({ parent, scheduleId, schedule }: CreateScheduleRequest) {
      const current = schedules();
      current.check();
      const name = `${parent}/schedules/${scheduleId}`;
      if (current.kept.has(name)) throw new AppError('ALREADY_EXISTS', `there is a schedule "${name}"`);
      return current.keep({ ...(schedule ?? create(ScheduleSchema)), name, createTime: at(0) });
    }

    getSchedule({ name }: { name: string }) {
      const schedule = schedules().find(name);
      const days = schedule.paused ? [] : [1, 2, 3, 4, 5];
      return { schedule, nextTimes: days.map((day) => at(86_400 * day)) };
    }

    listSchedules({ parent, pageToken, pageSize, filter }: ListSchedulesRequest) {
      const current = schedules();
      current.lastFilter = filter;
      const prefix = parent === 'projects/-' ? 'projects/' : `${parent}/`;
      const all = [...current.kept.values()].filter(({ name }) => name.startsWith(prefix));
      const start = Number(pageToken || '0');
      // Pages are shorter than asked for, which a server may do.
      const end = start + Math.min(2, pageSize);
      return { schedules: all.slice(start, end), nextPageToken: end < all.length ? String(end) : '' };
    }

    updateSchedule(request: UpdateScheduleRequest) {
      const current = schedules();
      current.check();
      current.updates.push(request);
      return current.keep(current.find(request.schedule?.name ?? ''));
    }

    deleteSchedule({ name }: { name: string }) {
      schedules().find(name);
      schedules().kept.delete(name);
      return {};
    }

    pauseSchedule({ name }: { name: string }) {
      return schedules().keep({ ...schedules().find(name), paused: true });
    }

    resumeSchedule({ name }: { name: string }) {
      return schedules().keep({ ...schedules().find(name), paused: false });
    }

    triggerSchedule({ name, requestId }: { name: string; requestId: string }) {
      const current = schedules();
      current.find(name);
      if (current.activeRun !== '')
        throw new AppError('FAILED_PRECONDITION', `"${current.activeRun}" of "${name}" goes on`);
      current.calls.push(`trigger ${name} ${requestId}`);
      return { run: 'projects/default/runs/demo' };
    }
  }
  return FakeScheduleController;
}
