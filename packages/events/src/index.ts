export type { AnswerCache } from './answer-cache.js';
export type { BreakerEntry, BreakerStore } from './breakers.js';
export {
  type CapacityBoard,
  type CapacityChange,
  type PoolAdvert,
  type QueuedRequest,
  tokenOf,
} from './capacity.js';
export type { CheckpointEntry, CheckpointIndex } from './checkpoint-index.js';
export { MAX_ANSWER_JSON, MAX_SUBTASK_JSON, MAX_SUBTASKS } from './codec.js';
export type { ConfigChecks } from './config-checks.js';
export {
  checkRedrivable,
  type DeadLetter,
  type DeadLetterHead,
  type DeadLetters,
  type NewDeadLetter,
} from './dead-letters.js';
export type { Directives } from './directives.js';
export { EngineClock } from './engine-clock.js';
export {
  AttemptOverError,
  BatchTooLargeError,
  CorruptEventLogError,
  DeadLetterNotFoundError,
  EventLogGapError,
  EventLogUnavailableError,
  IllegalTransitionError,
  InvalidNameError,
  InvalidRunNameError,
  MalformedMessageError,
  MessageTooLargeError,
  NewerEventsError,
  NotRedrivableError,
  RevisionConflictError,
  StaleFencingTokenError,
  StreamFullError,
  UnprocessableMessageError,
  UnsupportedVersionError,
} from './events.errors.js';
export { connectEvents, Events, type EventsOptions } from './events.js';
export { type EventBatch, foldEvent, foldRun } from './fold/fold-run.js';
export { followRun, type LoggedBatch } from './fold/follow-run.js';
export type { PersistentList } from './fold/persistent-list.js';
export { resolveInputs } from './fold/resolve-inputs.js';
export {
  countIn,
  currentAttempt,
  dependenciesOf,
  hasRefusal,
  isActive,
  isTerminalRun,
  isTerminalStep,
  isWhole,
  openAttempt,
  quarantined,
  RELEASED_REASON,
  type RunRecord,
  type StepRecord,
  satisfiesDependents,
  stepOf,
  stepsIn,
} from './fold/run-record.js';
export { fittingSteps, MAX_RUN_STEPS, stepCountsOf, toRun, toStep } from './fold/to-run.js';
export {
  RUN_TRANSITIONS,
  type RunEventCase,
  type RunLevelCase,
  type RunTransition,
  STEP_TRANSITIONS,
  type StepLevelCase,
  type StepTransition,
} from './fold/transitions.js';
export type { LeaseLedger, Ledger, LedgerEntry } from './leases.js';
export { type LetterSubject, letterSubjectOf } from './letter-subject.js';
export type { PhaseChange, PhaseRegistry } from './phase-registry.js';
export type { ProgressChannel, ProgressFeed, ProgressSubscribeOptions } from './progress-channel.js';
export type { QueueReading, TaskQueueReading } from './queue-readings.js';
export { NO_LIMITS, type QuotaBook, type QuotaLimits, type StoredQuota } from './quotas.js';
export { type Membership, REPLICA_BEAT_MS, type Replicas, type ReplicaWord } from './replicas.js';
export type { DeliveredReport, ReportConsumeOptions, Reports } from './reports.js';
export type { RequestIndex } from './request-index.js';
export type { LogExtent, RunBatch, RunEventInit, RunLog, RunRange } from './run-log.js';
export type { KeptSchedule, ScheduleChange, ScheduleEntry, ScheduleStore } from './schedule-store.js';
export type { ServerTime } from './server-clock.js';
export {
  CHUNK_ENTRIES,
  type Snapshot,
  SnapshotConflictError,
  type SnapshotHead,
  type SnapshotName,
  SnapshotStore,
} from './snapshots.js';
export type { CachedStep, StepCache } from './step-cache.js';
export { stepSeedOf } from './step-seed.js';
export type { ConnectionStatus } from './stream/connection.js';
export { MAX_MESSAGE_BYTES } from './stream/publisher.js';
export type { TopologyOptions } from './stream/topology.js';
export type { Consumption } from './stream/work-consumer.js';
export { attemptIdOf, BUCKETS, STREAMS } from './subjects.js';
export type { SubtaskSession, Subtasks } from './subtasks.js';
export type { DeliveredTask, TaskConsumeOptions, TaskQueue } from './task-queue.js';
export type { Upload, UploadIndex } from './upload-index.js';
