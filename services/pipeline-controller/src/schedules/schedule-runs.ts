import { createHash } from 'node:crypto';
import { formatRunName, type Schedule } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { isTerminalRun } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { runIdOfRequest } from '../domain/run-id.js';
import type { EnginePort } from '../ports/engine.port.js';
import type { ReadModel } from '../projection/read-model.js';

/** The run that a cause created. */
export interface FoundRun {
  readonly name: string;
  /** Whether it is the last run of its schedule, or was. Who created it may have gone away before it could say so. */
  readonly isNoted: boolean;
}

/** Creates the runs of schedules. The run of a time is the same whoever creates it, and however often. */
export class ScheduleRuns {
  constructor(
    private readonly engine: EnginePort,
    private readonly readModel: ReadModel,
  ) {}

  /** Whether the last run of a schedule goes on. */
  async isActive({ lastRun }: Schedule): Promise<boolean> {
    if (lastRun === '') return false;
    const record = await this.readModel.run(lastRun);
    return record !== undefined && !isTerminalRun(record.state);
  }

  /** Cancels the last run of a schedule, when it goes on. @param next  what takes its place; there already */
  async replace(schedule: Schedule, next: string): Promise<void> {
    if (schedule.lastRun === next || !(await this.isActive(schedule))) return;
    try {
      await this.engine.cancel(schedule.lastRun, `replaced by the next run of ${schedule.name}`);
    } catch (error) {
      // it ended in between
      if (AppError.from(error).code !== 'FAILED_PRECONDITION') throw error;
    }
  }

  /** The run of one cause, if it was created. */
  async find(schedule: Schedule, cause: string): Promise<FoundRun | undefined> {
    const { lastRun } = schedule;
    const { name } = identityOf(schedule, cause);
    if (name === lastRun) return { name, isNoted: true };
    const run = await this.readModel.run(name);
    if (run === undefined) return undefined;
    const last = lastRun === '' ? undefined : await this.readModel.run(lastRun);
    const isNoted = last !== undefined && timestampMs(last.createTime) >= timestampMs(run.createTime);
    return { name, isNoted };
  }

  /**
   * Creates the run of one cause: a time, or the request that triggered it.
   * @returns its name
   */
  async create(schedule: Schedule, cause: string): Promise<string> {
    const { template, displayName } = schedule;
    const { name, id, requestId } = identityOf(schedule, cause);
    try {
      await this.engine.start({
        name,
        displayName: template?.displayName || displayName || id,
        labels: { ...template?.labels, schedule: id },
        graph: template?.graph,
        requestId,
        schedule: schedule.name,
      });
    } catch (error) {
      // created from an older template, by a replica that went away before it could say so
      if (AppError.from(error).code !== 'ALREADY_EXISTS') throw error;
    }
    return name;
  }
}

/** What the run of a cause is called; the same whoever asks. */
function identityOf(schedule: Schedule, cause: string) {
  const [, project = '', , id = ''] = schedule.name.split('/');
  const requestId = requestIdOf(schedule, cause);
  return { id, requestId, name: formatRunName({ project, run: runIdOfRequest(project, requestId) }) };
}

/** A UUID (version 8) of a cause; a schedule that was deleted and created again has others. */
function requestIdOf({ name, createTime }: Schedule, cause: string): string {
  const text = `${name}\n${createTime ? timestampMs(createTime) : 0}\n${cause}`;
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
