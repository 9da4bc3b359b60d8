export {
  type ConfigCheck,
  checkConfig,
  configJsonSchema,
  InvalidPhaseConfigError,
  requireConfig,
} from './definition/config-check.js';
export { renderConfigTable } from './definition/config-table.js';
export { describePhase } from './definition/descriptor.js';
export {
  definePhase,
  type PhaseDefinition,
  type PhaseMetric,
  type PhasePort,
  type ResourceEstimate,
} from './definition/phase-definition.js';
export { PhaseHost } from './edge/phase-host.js';
export { PhaseRuntimeModule } from './edge/phase-runtime.module.js';
export { type PhaseServiceConfig, phaseSettings } from './edge/phase-settings.js';
export { ComputeJob, type JobEnd, type StopGrace, WorkerCrashedError } from './host/compute-job.js';
export { failureClassOf, toFailure, UnfitTaskError } from './host/failure.js';
export { PhaseTasks, TaskNotFoundError } from './host/phase-tasks.js';
