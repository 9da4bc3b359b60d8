import {
  type BreakerSchema,
  type CancelExecutionRequest,
  EngineStatusService,
  type ExplainExecutionStepRequest,
  type GetExecutionRequest,
  OrchestrationService,
  type PauseExecutionRequest,
  type PoolSchema,
  type ResumeExecutionRequest,
  type RetryExecutionRequest,
  type StartExecutionRequest,
  type ValidateGraphRequest,
  type WaitKind,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { type Events, isTerminalRun, type RunEventInit, toRun } from '@agentforge/events';
import { createService, defineSettings, GrpcService, serverSettings } from '@agentforge/service-kit';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { type DynamicModule, Inject, Module } from '@nestjs/common';

const EVENTS = Symbol('events');

/** An event as tests write it. */
export const event = (payload: NonNullable<RunEventInit['payload']>): RunEventInit => ({
  time: timestampNow(),
  actor: 'test',
  payload,
});

/** Commits events of a run after whatever is there. */
export async function commit(events: Events, run: string, payloads: NonNullable<RunEventInit['payload']>[]) {
  await events.runs.append(run, payloads.map(event), await events.runs.revisionOf(run));
  const record = await events.runs.load(run);
  if (!record) throw new AppError('NOT_FOUND', run);
  return { run: toRun(record) };
}

/** Whether the stub has no room for a run that is to be retried. */
export const engineRoom = { isFull: false };

/** An engine that accepts everything and executes nothing: steps move when a test writes events. */
@GrpcService(OrchestrationService)
class StubController {
  constructor(@Inject(EVENTS) private readonly events: Events) {}

  async validateGraph({ graph }: ValidateGraphRequest) {
    return graph ? { graph } : { violations: [{ field: 'graph', description: 'is missing' }] };
  }

  async startExecution({ name, displayName, labels, graph, requestId, schedule }: StartExecutionRequest) {
    if (displayName === 'refuse') throw new AppError('INVALID_ARGUMENT', 'the graph is wrong');
    const value = { displayName, labels, requestId, schedule, ...(graph ? { graph } : {}) };
    // A second request of the same name loses the race and gets the run that exists.
    await this.events.runs.append(name, [event({ case: 'runCreated', value })], 0n).catch(() => undefined);
    const run = await this.events.runs.load(name);
    return run ? { run: toRun(run) } : {};
  }

  async getExecution({ name }: GetExecutionRequest) {
    return commit(this.events, name, []);
  }

  async pauseExecution({ name }: PauseExecutionRequest) {
    return commit(this.events, name, [{ case: 'runPaused', value: {} }]);
  }

  async resumeExecution({ name }: ResumeExecutionRequest) {
    return commit(this.events, name, [{ case: 'runResumed', value: {} }]);
  }

  async cancelExecution({ name, reason }: CancelExecutionRequest) {
    if (reason === 'refuse') throw new AppError('FAILED_PRECONDITION', 'the run has ended');
    return commit(this.events, name, [{ case: 'runCancelRequested', value: { reason } }]);
  }

  async retryExecution({ name, stepIds, configOverrides }: RetryExecutionRequest) {
    const goesOn = () => new AppError('FAILED_PRECONDITION', 'the run has not ended');
    if (engineRoom.isFull)
      throw new AppError('RESOURCE_EXHAUSTED', 'full', {
        reason: 'TOO_MANY_ACTIVE_RUNS',
        retryAfterMs: 5_000,
      });
    const record = await this.events.runs.load(name);
    if (record && !isTerminalRun(record.state)) throw goesOn();
    const retried = { case: 'runRetried' as const, value: { stepIds, configOverrides } };
    return commit(this.events, name, [retried]).catch((error: unknown) => {
      throw AppError.from(error).code === 'ABORTED' ? goesOn() : error;
    });
  }
}

/** What the stub answers about waits, usage and pools. */
export const engineStatus = {
  waits: [] as { kind: WaitKind; message: string; position?: number }[],
  /** Until when it says nothing of a whole run. */
  held: Promise.resolve(),
  usage: { runningRuns: 0, queuedRuns: 0, runningSteps: 0 },
  breakers: [] as MessageInitShape<typeof BreakerSchema>[],
  pools: [] as MessageInitShape<typeof PoolSchema>[],
};

@GrpcService(EngineStatusService)
class StubStatusController {
  async explainExecutionStep({ stepId }: ExplainExecutionStepRequest) {
    if (stepId !== 'a') throw new AppError('NOT_FOUND', `no step ${stepId}`);
    return { waits: engineStatus.waits };
  }

  async explainExecution() {
    await engineStatus.held;
    return { steps: engineStatus.waits.length > 0 ? [{ stepId: 'a', waits: engineStatus.waits }] : [] };
  }

  async getProjectUsage() {
    return engineStatus.usage;
  }

  async listPhaseBreakers() {
    return { breakers: engineStatus.breakers };
  }

  async listPools() {
    return { pools: engineStatus.pools };
  }
}

@Module({})
class StubModule {
  static with(events: Events): DynamicModule {
    return {
      module: StubModule,
      controllers: [StubController, StubStatusController],
      providers: [{ provide: EVENTS, useValue: events }],
    };
  }
}

/** Starts the stub. */
export const startStubOrchestrator = (events: Events) =>
  createService(StubModule.with(events), {
    name: 'stub-orchestrator',
    settings: defineSettings(serverSettings({ grpcPort: 0, httpPort: 0 })),
    env: { FORGE_GRPC_PORT: '0', FORGE_HTTP_PORT: '0', FORGE_LOG_LEVEL: 'silent' },
  });
