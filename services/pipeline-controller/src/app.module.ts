import { ArtifactStore, FolderArtifactStore } from '@agentforge/artifacts';
import { EngineStatusService, OrchestrationService, RunState } from '@agentforge/contracts';
import { connectEvents, EngineClock, Events } from '@agentforge/events';
import { Clients, Drain, Readiness, SERVICE_CONFIG } from '@agentforge/service-kit';
import { Logger, Metrics } from '@agentforge/telemetry';
import { Module } from '@nestjs/common';
import { GrpcEngine } from './adapters/grpc-engine.js';
import { GrpcEngineStatus } from './adapters/grpc-engine-status.js';
import { NatsRunHistory } from './adapters/nats-run-history.js';
import { ArtifactController } from './artifacts.controller.js';
import { ArtifactUseCases } from './artifacts.service.js';
import { CapacityController } from './capacity.controller.js';
import type { Config } from './config.js';
import { LineageUseCases } from './lineage.service.js';
import { OperationsController } from './operations.controller.js';
import { OperationsUseCases } from './operations.service.js';
import { PipelineController } from './pipeline-controller.controller.js';
import { PipelineUseCases } from './pipeline-controller.service.js';
import { DeadLetterStore } from './ports/dead-letter-store.port.js';
import { EnginePort } from './ports/engine.port.js';
import { EngineStatusPort } from './ports/engine-status.port.js';
import { PhaseRegistryPort } from './ports/phase-registry.port.js';
import { Queues } from './ports/queues.port.js';
import { RequestIndexPort } from './ports/request-index.port.js';
import { RunHistory } from './ports/run-history.port.js';
import { Snapshots } from './ports/snapshots.port.js';
import { UploadLog } from './ports/upload-log.port.js';
import { HISTORY_VERSION } from './projection/history-entry.js';
import { ReadModel } from './projection/read-model.js';
import { GuardedEngine } from './quotas/guarded-engine.js';
import { QuotaStore } from './quotas/quota-store.port.js';
import { QuotaUseCases } from './quotas/quotas.service.js';
import { RunAnnotations } from './run-annotations.js';
import { ScheduleBook } from './schedules/schedule-book.js';
import { ScheduleRunner } from './schedules/schedule-runner.js';
import { ScheduleRuns } from './schedules/schedule-runs.js';
import { ScheduleUseCases } from './schedules/schedules.service.js';
import { ScheduleController } from './schedules.controller.js';
import { ProgressBoard } from './watch/progress-board.js';

/** Composition root: binds ports to NATS, gRPC and the artifact store, starts the read model. */
@Module({
  controllers: [
    PipelineController,
    ArtifactController,
    CapacityController,
    OperationsController,
    ScheduleController,
  ],
  providers: [
    PipelineUseCases,
    ArtifactUseCases,
    OperationsUseCases,
    QuotaUseCases,
    LineageUseCases,
    RunAnnotations,
    { provide: QuotaStore, inject: [Events], useFactory: (events: Events) => events.quotas },
    { provide: Events, inject: [SERVICE_CONFIG, Logger, Metrics, Readiness, Drain], useFactory: startEvents },
    { provide: RunHistory, inject: [Events], useFactory: (events: Events) => new NatsRunHistory(events) },
    { provide: PhaseRegistryPort, inject: [Events], useFactory: (events: Events) => events.phases },
    { provide: DeadLetterStore, inject: [Events], useFactory: (events: Events) => events.deadLetters },
    {
      provide: Queues,
      inject: [Events],
      useFactory: (events: Events): Queues => ({ readings: () => events.queueReadings() }),
    },
    { provide: RequestIndexPort, inject: [Events], useFactory: (events: Events) => events.requests },
    {
      provide: Snapshots,
      inject: [Events],
      useFactory: (events: Events) => events.snapshots('history', HISTORY_VERSION),
    },
    { provide: EngineClock, inject: [Events, Logger, Drain], useFactory: followClock },
    { provide: ProgressBoard, inject: [Events, Drain], useFactory: startProgressBoard },
    { provide: UploadLog, inject: [Events], useFactory: (events: Events) => events.uploads },
    {
      provide: EnginePort,
      inject: [Clients, SERVICE_CONFIG, QuotaUseCases, ReadModel],
      useFactory: (clients: Clients, config: Config, quotas: QuotaUseCases, readModel: ReadModel) =>
        new GuardedEngine(
          new GrpcEngine(
            clients.get(OrchestrationService, config.orchestratorAddress, {
              deadlineMs: config.orchestratorTimeoutMs,
              maxMessageBytes: config.maxMessageBytes,
            }),
          ),
          quotas,
          readModel,
        ),
    },
    {
      provide: EngineStatusPort,
      inject: [Clients, SERVICE_CONFIG],
      useFactory: (
        clients: Clients,
        { orchestratorAddress, orchestratorTimeoutMs, maxMessageBytes }: Config,
      ) =>
        new GrpcEngineStatus(
          clients.get(EngineStatusService, orchestratorAddress, {
            deadlineMs: orchestratorTimeoutMs,
            maxMessageBytes,
          }),
        ),
    },
    {
      provide: ArtifactStore,
      inject: [SERVICE_CONFIG],
      useFactory: ({ artifactDir, artifactMaxBytes }: Config) =>
        FolderArtifactStore.open({ directory: artifactDir, maxBlobBytes: artifactMaxBytes }),
    },
    {
      provide: ReadModel,
      inject: [RunHistory, UploadLog, Snapshots, Logger, Metrics, Drain, SERVICE_CONFIG],
      useFactory: startReadModel,
    },
    {
      provide: ScheduleUseCases,
      inject: [Events, EngineClock, EnginePort, ReadModel, Logger, Metrics, SERVICE_CONFIG, Drain],
      useFactory: startSchedules,
    },
  ],
})
export class AppModule {}

async function startEvents(
  { natsUrl: servers }: Config,
  logger: Logger,
  metrics: Metrics,
  readiness: Readiness,
  drain: Drain,
): Promise<Events> {
  readiness.report('nats', false, 'connecting');
  const events = await connectEvents({
    servers,
    name: 'pipeline-controller',
    logger,
    metrics,
    signal: drain.signal,
    onStatus: (status) => readiness.report('nats', status === 'connected', status),
  });
  // While NATS is away there is no value.
  metrics.gauge('deadLettersPresent').collect(async () => {
    const counts = events.isConnected()
      ? await events.deadLetters.counts().catch(() => new Map())
      : new Map();
    return [...counts].map(([stream, value]) => ({ labels: { stream }, value }));
  });
  drain.on('close', 'nats', () => events.close());
  return events;
}

function startProgressBoard(events: Events, drain: Drain): ProgressBoard {
  const board = new ProgressBoard();
  const observer = events.progress.observe((progress) => board.note(progress));
  drain.on('hand-back', 'progress', () => observer.stop());
  return board;
}

/** The clock of NATS: by it schedules fire, and uploads are in order. */
async function followClock(events: Events, logger: Logger, drain: Drain): Promise<EngineClock> {
  const clock = new EngineClock();
  await clock.follow(
    () => events.serverTime(),
    drain.signal,
    (error) => logger.debug('events.handler_failed', { operation: 'read clock', error }),
  );
  return clock;
}

async function startSchedules(
  events: Events,
  { nowMs }: EngineClock,
  engine: EnginePort,
  readModel: ReadModel,
  logger: Logger,
  metrics: Metrics,
  { scheduleTickMs: tickMs }: Config,
  drain: Drain,
): Promise<ScheduleUseCases> {
  const store = events.schedules;
  const book = new ScheduleBook(store);
  await book.start();
  const runs = new ScheduleRuns(engine, readModel);
  const runner = new ScheduleRunner({ book, store, runs, logger, metrics, tickMs, nowMs });
  runner.start();
  drain.on('stop-pulling', 'schedules', () => runner.stop());
  drain.on('hand-back', 'schedules', () => book.stop());
  return new ScheduleUseCases(book, store, runs, engine, logger, nowMs);
}

async function startReadModel(
  history: RunHistory,
  uploads: UploadLog,
  snapshots: Snapshots,
  logger: Logger,
  metrics: Metrics,
  drain: Drain,
  { snapshotIntervalMs }: Config,
): Promise<ReadModel> {
  const readModel = new ReadModel(history, uploads, snapshots, logger, snapshotIntervalMs);
  await readModel.start();
  metrics.gauge('runsActive').collect(() =>
    [...readModel.runs.countByState()].map(([state, value]) => ({
      labels: { state: RunState[state] ?? '' },
      value,
    })),
  );
  metrics.gauge('snapshotAge').collect(() => {
    const { savedAt } = readModel;
    return savedAt ? [{ labels: {}, value: (Date.now() - savedAt.getTime()) / 1_000 }] : [];
  });
  drain.on('hand-back', 'read model', () => readModel.stop());
  return readModel;
}
