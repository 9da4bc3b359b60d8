import { Drain, Readiness, SERVICE_CONFIG } from '@agentforge/service-kit';
import { Logger, Metrics } from '@agentforge/telemetry';
import { type DynamicModule, Module } from '@nestjs/common';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import { PhaseController } from './phase.controller.js';
import { PhaseHost } from './phase-host.js';
import type { PhaseServiceConfig } from './phase-settings.js';

/** Turns a phase definition into a service: its RPCs, its place in the registry, the execution of its tasks. */
@Module({})
export class PhaseRuntimeModule {
  /** The module of one phase; the service's settings come from `phaseSettings`. */
  static serve(phase: PhaseDefinition): DynamicModule {
    return {
      module: PhaseRuntimeModule,
      controllers: [PhaseController],
      providers: [
        {
          provide: PhaseHost,
          inject: [SERVICE_CONFIG, Logger, Metrics, Readiness, Drain],
          useFactory: (
            config: PhaseServiceConfig,
            log: Logger,
            metrics: Metrics,
            readiness: Readiness,
            drain: Drain,
          ) => new PhaseHost({ phase, config, log, metrics, readiness, drain }),
        },
      ],
      exports: [PhaseHost],
    };
  }
}
