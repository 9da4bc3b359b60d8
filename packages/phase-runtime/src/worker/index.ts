export { MEDIA_TYPES } from '@agentforge/artifacts';
export { STOP, StopFlag, type StopReason } from './control.js';
export type { ErrorMessage } from './error-message.js';
export type { WorkerInput, WorkerMessage, WorkerResult } from './messages.js';
export type { OrderInbox } from './order-inbox.js';
export type {
  ArtifactLabel,
  Checkpoint,
  CurvePoint,
  FileSet,
  InputArtifact,
  LogLevel,
  PhaseContext,
  PhaseMetricValue,
  PhaseOutput,
  PhaseResult,
  SpreadWork,
  StepPart,
  StoredBlob,
  SubtaskContext,
} from './phase-context.js';
export { type PhaseWork, runPhase, servePhase } from './serve-phase.js';
export { runSubtask, type SubtaskWork } from './serve-subtasks.js';
export { ResourceExhaustedError, toAppError } from './system-error.js';
export { thin } from './thin.js';
export { StoppedError, UnusableCheckpointError } from './worker.errors.js';
