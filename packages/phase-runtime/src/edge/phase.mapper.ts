import type {
  EstimateResourcesResponseSchema,
  TaskSchema,
  ValidateConfigResponseSchema,
} from '@agentforge/contracts';
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ConfigCheck } from '../definition/config-check.js';
import type { ResourceEstimate } from '../definition/phase-definition.js';
import type { TaskExecution } from '../host/task-execution.js';

/** A task as it is listed. */
export function toTask(execution: TaskExecution): MessageInitShape<typeof TaskSchema> {
  const { attemptId, run, stepId } = execution.task;
  return {
    attemptId,
    run,
    stepId,
    startTime: timestampFromDate(execution.startTime),
    progress: execution.feed.latest,
  };
}

/** The outcome of a configuration check. */
export function toValidateConfigResponse(
  check: ConfigCheck<unknown>,
): MessageInitShape<typeof ValidateConfigResponseSchema> {
  if (check.isValid) return { config: check.config as JsonObject };
  return { violations: check.violations.map((violation) => ({ ...violation })) };
}

/** An estimate; fractions of bytes and parameters are rounded up. */
export function toEstimateResponse(
  estimate: ResourceEstimate,
): MessageInitShape<typeof EstimateResourcesResponseSchema> {
  return {
    memoryBytes: BigInt(Math.ceil(estimate.memoryBytes)),
    parameters: BigInt(Math.ceil(estimate.parameters)),
    flop: estimate.flop,
  };
}
