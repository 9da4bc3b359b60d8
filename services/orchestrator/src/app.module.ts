import { hostname } from 'node:os';
import { FolderArtifactStore } from '@agentforge/artifacts';
import { CachePolicy, ValidationService } from '@agentforge/contracts';
import { connectEvents, Events } from '@agentforge/events';
import { Clients, Drain, Readiness, SERVICE_CONFIG } from '@agentforge/service-kit';
import { Logger, Metrics } from '@agentforge/telemetry';
import { Module } from '@nestjs/common';
import { GrpcJudge } from './adapters/grpc-judge.js';
import { NatsCapacity } from './adapters/nats-capacity.js';
import { NatsConfigChecks } from './adapters/nats-config-checks.js';
import { NatsPhaseCatalog } from './adapters/nats-phase-catalog.js';
import { NatsReplicaGroup } from './adapters/nats-replica-group.js';
import { NatsRunLog } from './adapters/nats-run-log.js';
import { NatsStepResults } from './adapters/nats-step-results.js';
import { NatsWorkers } from './adapters/nats-workers.js';
import { UnclaimedTasks } from './adapters/unclaimed-tasks.js';
import type { Config } from './config.js';
import { BREAKER_STATES } from './domain/breaker.js';
import { Breakers } from './engine/breaker.js';
import { Engine } from './engine/engine.js';
import { OPEN_RUNS_VERSION, OpenRuns } from './engine/open-runs.js';
import { EngineStatusController } from './engine-status.controller.js';
import { OrchestratorController } from './orchestrator.controller.js';
import { OrchestratorUseCases } from './orchestrator.service.js';
import { PhaseChecks } from './phase-checks.js';
import { Capacity } from './ports/capacity.port.js';
import { Judge } from './ports/judge.port.js';
import { Limits } from './ports/limits.port.js';
import { PhaseCatalog } from './ports/phase-catalog.port.js';
import { RunLog } from './ports/run-log.port.js';
import { StepResults } from './ports/step-results.port.js';
import { Workers } from './ports/workers.port.js';
import { registerCapacityMetrics } from './scheduling/capacity-metrics.js';

/** Composition root: binds ports to NATS and gRPC, starts the engine. */
@Module({
  controllers: [OrchestratorController, EngineStatusController],
  providers: [
    OrchestratorUseCases,
    { provide: Limits, inject: [SERVICE_CONFIG], useFactory: (config: Config) => config },
    {
      provide: Events,
      inject: [SERVICE_CONFIG, Logger, Metrics, Readiness, Drain],
      useFactory: startEvents,
    },
    { provide: RunLog, inject: [Events], useFactory: (events: Events) => new NatsRunLog(events) },
    {
      provide: OpenRuns,
      inject: [Events, Logger],
      useFactory: (events: Events, logger: Logger) =>
        new OpenRuns(events.snapshots('engine', OPEN_RUNS_VERSION), logger),
    },
    {
      provide: Workers,
      inject: [Events, SERVICE_CONFIG],
      useFactory: (events: Events, config: Config) => new NatsWorkers(events, config.ackWaitMs),
    },
    {
      provide: PhaseCatalog,
      inject: [Events, Logger, Drain],
      useFactory: (events: Events, logger: Logger, drain: Drain) =>
        NatsPhaseCatalog.watch(events, logger, drain.signal),
    },
    {
      provide: Capacity,
      inject: [Events, Logger, SERVICE_CONFIG, Drain],
      useFactory: (events: Events, logger: Logger, config: Config, drain: Drain) =>
        NatsCapacity.watch(events, logger, config.replica, drain.signal),
    },
    {
      provide: PhaseChecks,
      inject: [Events, Logger],
      useFactory: (events: Events, logger: Logger) =>
        new PhaseChecks(new NatsConfigChecks(events.configChecks), logger),
    },
    {
      provide: Judge,
      inject: [Clients, SERVICE_CONFIG],
      useFactory: (clients: Clients, config: Config) =>
        new GrpcJudge(clients.get(ValidationService, config.validatorsAddress), config.validationTimeoutMs),
    },
    {
      provide: NatsReplicaGroup,
      inject: [SERVICE_CONFIG, Events, Logger],
      useFactory: (config: Config, events: Events, logger: Logger) =>
        NatsReplicaGroup.join(actorOf(config), events, logger),
    },
    {
      provide: StepResults,
      inject: [Events, SERVICE_CONFIG],
      useFactory: async (events: Events, { artifactDir, artifactMaxBytes }: Config) =>
        new NatsStepResults(
          events.stepCache,
          await FolderArtifactStore.open({ directory: artifactDir, maxBlobBytes: artifactMaxBytes }),
        ),
    },
    {
      provide: Breakers,
      inject: [Events, NatsReplicaGroup, Logger, Metrics, SERVICE_CONFIG, Drain],
      useFactory: startBreakers,
    },
    {
      provide: Engine,
      inject: [
        RunLog,
        Workers,
        Judge,
        PhaseCatalog,
        StepResults,
        Breakers,
        NatsReplicaGroup,
        Capacity,
        Logger,
        Metrics,
        SERVICE_CONFIG,
        Drain,
        OpenRuns,
      ],
      useFactory: startEngine,
    },
    {
      provide: UnclaimedTasks,
      inject: [Events, PhaseCatalog, Logger, SERVICE_CONFIG, Drain],
      useFactory: startUnclaimedTasks,
    },
  ],
})
export class AppModule {}

async function startEvents(
  config: Config,
  logger: Logger,
  metrics: Metrics,
  readiness: Readiness,
  drain: Drain,
): Promise<Events> {
  readiness.report('nats', false, 'connecting');
  const events = await connectEvents({
    servers: config.natsUrl,
    name: 'orchestrator',
    logger,
    metrics,
    topology: { ackWaitMs: config.ackWaitMs },
    signal: drain.signal,
    onStatus: (status) => readiness.report('nats', status === 'connected', status),
  });
  events.registerMetrics(metrics);
  drain.on('close', 'nats', () => events.close());
  return events;
}

/** The name of this replica: written into events, heard by the others. */
function actorOf(config: Config): string {
  return `orchestrator/${config.replica || `${hostname()}-${process.pid}`}`;
}

async function startBreakers(
  events: Events,
  { clock }: NatsReplicaGroup,
  logger: Logger,
  metrics: Metrics,
  { breakerFailures: failures, breakerOpenMs: openMs, breakerSuccesses: successes }: Config,
  drain: Drain,
): Promise<Breakers> {
  const breakers = new Breakers(events.breakers, { failures, openMs, successes }, logger, clock.nowMs);
  await breakers.start();
  metrics
    .gauge('breakerState')
    .collect(() =>
      breakers
        .list()
        .flatMap(({ phase, state }) =>
          BREAKER_STATES.map((one) => ({ labels: { phase, state: one }, value: one === state ? 1 : 0 })),
        ),
    );
  drain.on('hand-back', 'breakers', () => breakers.stop());
  return breakers;
}

async function startEngine(
  log: RunLog,
  workers: Workers,
  judge: Judge,
  phases: PhaseCatalog,
  results: StepResults,
  breakers: Breakers,
  group: NatsReplicaGroup,
  capacity: Capacity,
  logger: Logger,
  metrics: Metrics,
  config: Config,
  drain: Drain,
  openRuns: OpenRuns,
): Promise<Engine> {
  const engine = new Engine(
    {
      log,
      workers,
      judge,
      phases,
      results,
      breakers,
      capacity,
      logger,
      metrics,
      clock: group.clock,
      affinity: group.affinity,
    },
    {
      actor: actorOf(config),
      defaultParallelSteps: config.defaultParallelSteps,
      takeoverMs: config.takeoverMs,
      sweepMs: config.sweepMs,
      maxActiveRuns: config.maxActiveRuns,
      cachePolicy: config.stepCache === 'off' ? CachePolicy.OFF : CachePolicy.READ_WRITE,
      leaseMs: config.leaseMs,
      patienceMs: config.patienceMs,
      idleMs: 60_000,
      snapshotIntervalMs: config.snapshotIntervalMs,
    },
    openRuns,
  );
  await engine.start();
  metrics.gauge('runsActive').collect(() => [{ labels: { state: 'active' }, value: engine.activeRuns }]);
  registerCapacityMetrics(metrics, engine, capacity);
  metrics.gauge('runsQuarantined').collect(() => [{ labels: {}, value: engine.quarantinedRuns }]);
  metrics.gauge('snapshotAge').collect(() => {
    const { savedAt } = engine;
    return savedAt ? [{ labels: {}, value: (Date.now() - savedAt.getTime()) / 1_000 }] : [];
  });
  drain.on('stop-pulling', 'reports', () => workers.stop());
  drain.on('hand-back', 'engine', async () => {
    await engine.stop();
    await group.leave();
  });
  return engine;
}

function startUnclaimedTasks(
  events: Events,
  phases: PhaseCatalog,
  logger: Logger,
  config: Config,
  drain: Drain,
): UnclaimedTasks {
  const unclaimed = new UnclaimedTasks(events, phases, logger, config.unclaimedTaskMs);
  drain.on('hand-back', 'unclaimed tasks', () => unclaimed.stop());
  return unclaimed;
}
