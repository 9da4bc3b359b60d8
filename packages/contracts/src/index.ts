/** Every wire contract of the system, generated from proto/, and the resource names it uses. */
export * from './gen/agentforge/artifacts/v1/artifact_pb.js';
export * from './gen/agentforge/artifacts/v1/artifact_service_pb.js';
export * from './gen/agentforge/events/v1/run_event_pb.js';
export * from './gen/agentforge/events/v1/subtask_pb.js';
export * from './gen/agentforge/events/v1/task_pb.js';
export * from './gen/agentforge/failure/v1/failure_pb.js';
export * from './gen/agentforge/metric/v1/metric_pb.js';
export * from './gen/agentforge/orchestration/v1/breaker_pb.js';
export * from './gen/agentforge/orchestration/v1/cache_pb.js';
export * from './gen/agentforge/orchestration/v1/engine_status_service_pb.js';
export * from './gen/agentforge/orchestration/v1/graph_pb.js';
export * from './gen/agentforge/orchestration/v1/orchestration_service_pb.js';
export * from './gen/agentforge/orchestration/v1/resources_pb.js';
export * from './gen/agentforge/orchestration/v1/state_pb.js';
export * from './gen/agentforge/orchestration/v1/waiting_pb.js';
export * from './gen/agentforge/phase/v1/phase_pb.js';
export * from './gen/agentforge/phase/v1/phase_service_pb.js';
export * from './gen/agentforge/phase/v1/progress_pb.js';
export * from './gen/agentforge/phase/v1/result_pb.js';
export * from './gen/agentforge/pipeline/v1/capacity_service_pb.js';
export * from './gen/agentforge/pipeline/v1/operations_service_pb.js';
export * from './gen/agentforge/pipeline/v1/pipeline_service_pb.js';
export * from './gen/agentforge/pipeline/v1/schedule_service_pb.js';
export * from './gen/agentforge/validation/v1/validation_service_pb.js';
export * from './gen/agentforge/validation/v1/verdict_pb.js';
export * from './gen/google/rpc/error_details_pb.js';
export * from './gen/google/rpc/status_pb.js';
export {
  formatRunName,
  isProjectName,
  parseProjectName,
  parseRunName,
  type RunName,
} from './resource-name.js';
