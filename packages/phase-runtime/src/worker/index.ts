export { MEDIA_TYPES } from '@agentforge/artifacts';
export { STOP, StopFlag, type StopReason } from './control.js';
export type { ErrorMessage, WorkerInput, WorkerMessage, WorkerResult } from './messages.js';
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
  StoredBlob,
} from './phase-context.js';
export { type PhaseWork, runPhase, servePhase } from './serve-phase.js';
export { ResourceExhaustedError, toAppError } from './system-error.js';
export { thin } from './thin.js';
export { StoppedError, UnusableCheckpointError } from './worker.errors.js';
