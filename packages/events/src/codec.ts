import {
  parseRunName,
  type RunEventBatch,
  RunEventBatchSchema,
  type StepProgress,
  StepProgressSchema,
  type StepReport,
  StepReportSchema,
  type StepTask,
  StepTaskSchema,
  type TaskDirective,
  TaskDirectiveSchema,
  type TaskHeartbeat,
  TaskHeartbeatSchema,
} from '@agentforge/contracts';
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { MalformedMessageError, UnsupportedVersionError } from './events.errors.js';

/** Turns messages of one type into bytes and back, refusing bytes that cannot be what they claim. */
export interface Codec<T> {
  encode(message: T): Uint8Array;
  /**
   * @throws MalformedMessageError  INVALID_ARGUMENT
   * @throws UnsupportedVersionError  FAILED_PRECONDITION: written by a newer release
   */
  decode(data: Uint8Array): T;
}

/** Newest version of the run log's events that is known. */
export const EVENTS_VERSION = 1;

/** Batches of the run log. What is in one of a newer version is for its reader to refuse. */
export const runEventBatchCodec: Codec<RunEventBatch> = codecOf(RunEventBatchSchema, (batch) => {
  if (batch.version > EVENTS_VERSION) return undefined;
  if (!parseRunName(batch.run)) return 'run is not a run name';
  if (batch.events.length === 0) return 'no events';
  const empty = batch.events.findIndex((event) => event.payload.case === undefined || !event.time);
  return empty < 0 ? undefined : `events[${empty}] has no payload or no time`;
});

/** Newest version of the schema of tasks and reports. 0, an absent version, and 1 are the first. */
export const TASK_VERSION = 1;

/** Tasks of the work queue. */
export const stepTaskCodec: Codec<StepTask> = codecOf(StepTaskSchema, (task) => {
  checkVersion('StepTask', task.version);
  if (!task.phase) return 'no phase';
  if (task.attemptNumber < 1) return 'attempt_number below 1';
  return attemptProblem(task);
});

/** Reports of workers. */
export const stepReportCodec: Codec<StepReport> = codecOf(StepReportSchema, (report) => {
  checkVersion('StepReport', report.version);
  return report.payload.case === undefined ? 'no payload' : attemptProblem(report);
});

/** Progress of steps. */
export const stepProgressCodec: Codec<StepProgress> = codecOf(StepProgressSchema, attemptProblem);

/** Heartbeats of workers. */
export const taskHeartbeatCodec: Codec<TaskHeartbeat> = codecOf(TaskHeartbeatSchema, attemptProblem);

/** Answers to heartbeats, and orders to workers. */
export const taskDirectiveCodec: Codec<TaskDirective> = codecOf(TaskDirectiveSchema, (directive) =>
  directive.attemptId ? undefined : 'no attempt_id',
);

/** Before anything else: fields of a newer schema may mean something else. */
function checkVersion(what: string, version: number): void {
  if (version > TASK_VERSION) throw new UnsupportedVersionError(what, version, TASK_VERSION);
}

function attemptProblem(message: { run: string; stepId: string; attemptId: string }): string | undefined {
  if (!parseRunName(message.run)) return 'run is not a run name';
  if (!message.stepId) return 'no step_id';
  return message.attemptId ? undefined : 'no attempt_id';
}

/** @param problemOf  what is wrong with a decoded message, or undefined */
function codecOf<Desc extends DescMessage>(
  schema: Desc,
  problemOf: (message: MessageShape<Desc>) => string | undefined,
): Codec<MessageShape<Desc>> {
  const what = schema.name;
  const check = (message: MessageShape<Desc>) => {
    const problem = problemOf(message);
    if (problem !== undefined) throw new MalformedMessageError(what, problem);
    return message;
  };
  return {
    encode: (message) => toBinary(schema, check(message)),
    decode: (data) => {
      let message: MessageShape<Desc>;
      try {
        message = fromBinary(schema, data);
      } catch (error) {
        throw new MalformedMessageError(what, error instanceof Error ? error.message : 'unreadable', error);
      }
      return check(message);
    },
  };
}
