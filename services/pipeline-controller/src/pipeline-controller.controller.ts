import {
  type CancelRunRequest,
  type CreateRunRequest,
  type ExplainStepRequest,
  type GetPhaseRequest,
  type GetRunRequest,
  type ListRunEventsRequest,
  type ListRunsRequest,
  type ListStepsRequest,
  type PauseRunRequest,
  PipelineService,
  type ResumeRunRequest,
  type RetryRunRequest,
  type ValidateRunSpecRequest,
  type WatchRunRequest,
} from '@agentforge/contracts';
import { type CallContext, GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { runAnswer, stepsAnswer } from './answers.js';
import { PipelineUseCases } from './pipeline-controller.service.js';
import { RunAnnotations } from './run-annotations.js';

/** gRPC edge of runs and phases. */
@GrpcService(PipelineService)
export class PipelineController implements ServiceHandlers<typeof PipelineService> {
  constructor(
    private readonly useCases: PipelineUseCases,
    private readonly annotations: RunAnnotations,
  ) {}

  async createRun(request: CreateRunRequest) {
    return { run: await this.useCases.create(request) };
  }

  async validateRunSpec({ graph: asked }: ValidateRunSpecRequest) {
    const { violations, graph } = await this.useCases.validate(asked);
    return { violations: [...violations], ...(graph ? { graph } : {}) };
  }

  async getRun({ name, view }: GetRunRequest) {
    return runAnswer(await this.annotations.annotate(await this.useCases.get(name, view)));
  }

  async listSteps(request: ListStepsRequest) {
    const page = await this.useCases.listSteps(request);
    return stepsAnswer(page, await this.annotations.ofPage(request.parent, page));
  }

  async explainStep(request: ExplainStepRequest) {
    return this.annotations.explain(request);
  }

  async listRuns(request: ListRunsRequest) {
    return this.useCases.list(request);
  }

  async listRunEvents(request: ListRunEventsRequest, call: CallContext) {
    return this.useCases.listEvents(request, call.signal);
  }

  async *watchRun(request: WatchRunRequest, call: CallContext) {
    yield* this.useCases.watch(request, call.signal, call.draining);
  }

  async pauseRun({ name }: PauseRunRequest) {
    return { run: await this.useCases.pause(name) };
  }

  async resumeRun({ name }: ResumeRunRequest) {
    return { run: await this.useCases.resume(name) };
  }

  async cancelRun({ name, reason }: CancelRunRequest) {
    return { run: await this.useCases.cancel(name, reason) };
  }

  async retryRun({ name, stepIds, configOverrides }: RetryRunRequest) {
    return { run: await this.useCases.retry(name, stepIds, configOverrides) };
  }

  async listPhases() {
    return { phases: await this.useCases.listPhases() };
  }

  async getPhase({ phase }: GetPhaseRequest) {
    return { phase: await this.useCases.getPhase(phase) };
  }
}
