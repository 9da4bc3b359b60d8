import {
  type CancelTaskRequest,
  type EstimateResourcesRequest,
  PhaseService,
  type ValidateConfigRequest,
  type WatchTaskRequest,
} from '@agentforge/contracts';
import { type CallContext, GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { checkConfig, requireConfig } from '../definition/config-check.js';
import { toEstimateResponse, toTask, toValidateConfigResponse } from './phase.mapper.js';
import { PhaseHost } from './phase-host.js';

/** The gRPC edge of a phase service. */
@GrpcService(PhaseService)
export class PhaseController implements ServiceHandlers<typeof PhaseService> {
  constructor(private readonly host: PhaseHost) {}

  /** The descriptor of the phase. */
  async describePhase() {
    return { phase: this.host.describe() };
  }

  /** Every violation of a configuration, or the configuration with its defaults. */
  async validateConfig({ config }: ValidateConfigRequest) {
    return toValidateConfigResponse(checkConfig(this.host.phase, config ?? {}));
  }

  /** What a configuration takes. */
  async estimateResources({ config }: EstimateResourcesRequest) {
    const { phase } = this.host;
    return toEstimateResponse(phase.estimate(requireConfig(phase, config ?? {})));
  }

  /** What this replica executes. */
  async listTasks() {
    return { tasks: this.host.tasks.list().map(toTask) };
  }

  /** Progress of one task until it ends. */
  async *watchTask({ attemptId }: WatchTaskRequest, call: CallContext) {
    const signal = AbortSignal.any([call.signal, call.draining]);
    for await (const progress of this.host.tasks.watch(attemptId, signal)) yield { progress };
  }

  /** Stops one task without a checkpoint. */
  async cancelTask({ attemptId }: CancelTaskRequest) {
    this.host.tasks.cancel(attemptId);
    return {};
  }
}
