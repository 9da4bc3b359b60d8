import { AppError } from '@agentforge/errors';

/** NOT_FOUND: no such schedule. */
export class ScheduleNotFoundError extends AppError {
  constructor(name: string) {
    super('NOT_FOUND', `there is no schedule "${name}"`, { reason: 'SCHEDULE_NOT_FOUND' });
  }
}

/** ALREADY_EXISTS: another schedule has the name. */
export class ScheduleExistsError extends AppError {
  constructor(name: string) {
    super('ALREADY_EXISTS', `there is a schedule "${name}"; update it or choose another id`, {
      reason: 'SCHEDULE_EXISTS',
    });
  }
}

/** RESOURCE_EXHAUSTED: the project has as many schedules as are accepted. */
export class TooManySchedulesError extends AppError {
  constructor(limit: number) {
    super('RESOURCE_EXHAUSTED', `the project has ${limit} schedules; delete some first`, {
      reason: 'TOO_MANY_SCHEDULES',
    });
  }
}

/** ABORTED: somebody else changed the schedule. */
export class EtagMismatchError extends AppError {
  constructor(name: string) {
    super('ABORTED', `"${name}" was changed meanwhile; read it again`, { reason: 'ETAG_MISMATCH' });
  }
}

/** FAILED_PRECONDITION: the run before goes on, and the schedule lets no two run. */
export class OverlapRefusedError extends AppError {
  constructor(name: string, run: string) {
    super('FAILED_PRECONDITION', `"${run}" of "${name}" goes on, and its overlap policy allows no other`, {
      reason: 'RUN_OVERLAPS',
      metadata: { run },
    });
  }
}
