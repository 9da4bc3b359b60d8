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
  type SubtaskOffer,
  SubtaskOfferSchema,
  type SubtaskReply,
  SubtaskReplySchema,
  type SubtaskRequest,
  SubtaskRequestSchema,
  type TaskDirective,
  TaskDirectiveSchema,
  type TaskHeartbeat,
  TaskHeartbeatSchema,
  type ValidateConfigRequest,
  ValidateConfigRequestSchema,
  type ValidateConfigResponse,
  ValidateConfigResponseSchema,
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

/** Configurations that a phase is asked about. */
export const configQuestionCodec: Codec<ValidateConfigRequest> = codecOf(
  ValidateConfigRequestSchema,
  ({ config }) => (config === undefined ? 'no config' : undefined),
);

/** Most things wrong with one configuration that a phase says, and the longest path and sentence of one. */
export const MAX_CONFIG_VIOLATIONS = 100;
export const MAX_VIOLATION_FIELD = 300;
export const MAX_VIOLATION_TEXT = 500;

/** What it says about them. */
export const configAnswerCodec: Codec<ValidateConfigResponse> = codecOf(
  ValidateConfigResponseSchema,
  ({ violations }) => {
    if (violations.length > MAX_CONFIG_VIOLATIONS) return `${violations.length} violations`;
    const isTooLong = violations.some(
      ({ field, description }) =>
        field.length > MAX_VIOLATION_FIELD || description.length > MAX_VIOLATION_TEXT,
    );
    return isTooLong ? 'a violation that is too long' : undefined;
  },
);

/** Most subtasks that a step may spread at once. */
export const MAX_SUBTASKS = 4_096;

/** Longest JSON of one subtask, and of its answer, in characters. */
export const MAX_SUBTASK_JSON = 256 * 1024;
export const MAX_ANSWER_JSON = 64 * 1024;

/** Longest name of a worker, backend or attempt that is listened to. */
const MAX_NAME = 300;

/** Offers of subtasks. */
export const subtaskOfferCodec: Codec<SubtaskOffer> = codecOf(SubtaskOfferSchema, (offer) => {
  if (!offer.phase || !offer.phaseVersion || !offer.backend) return 'no phase, version or backend';
  if (!offer.session) return 'no session';
  const longest = Math.max(offer.phaseVersion.length, offer.backend.length, offer.attemptId.length);
  if (longest > MAX_NAME) return `a name of ${longest} characters`;
  if (offer.threads < 1) return 'threads below 1';
  if (offer.open < 0 || offer.open > MAX_SUBTASKS) return `${offer.open} open subtasks`;
  return offer.memoryBytes < 0n ? 'memory below 0' : undefined;
});

/** What a replica says to the worker that it helps. */
export const subtaskRequestCodec: Codec<SubtaskRequest> = codecOf(SubtaskRequestSchema, (request) => {
  if (!request.session || !request.worker) return 'no session or worker';
  if (request.worker.length > MAX_NAME) return `a worker of ${request.worker.length} characters`;
  if (request.word.case === undefined) return 'no word';
  return request.word.case === 'answer' ? jsonProblem(request.word.value.json, MAX_ANSWER_JSON) : undefined;
});

/** What it hears. */
export const subtaskReplyCodec: Codec<SubtaskReply> = codecOf(SubtaskReplySchema, ({ word }) => {
  if (word.case === undefined) return 'no word';
  if (word.case !== 'subtask') return undefined;
  if (!word.value.task) return 'no task';
  checkVersion('StepTask', word.value.task.version);
  return attemptProblem(word.value.task) ?? jsonProblem(word.value.json, MAX_SUBTASK_JSON);
});

function jsonProblem(json: string, longest: number): string | undefined {
  if (json.length > longest) return `JSON of ${json.length} characters, at most ${longest}`;
  try {
    JSON.parse(json);
    return undefined;
  } catch {
    return 'its JSON cannot be read';
  }
}

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
