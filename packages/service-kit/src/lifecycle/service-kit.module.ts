import { Logger, Metrics } from '@agentforge/telemetry';
import { type DynamicModule, Global, Inject, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Clients } from '../client/clients.js';
import { Readiness } from '../ops/readiness.js';
import { Drain } from './drain.js';

/** Token of the parsed configuration. */
export const SERVICE_CONFIG = Symbol('agentforge.service-config');

/** Injects the configuration of the service. */
export function InjectConfig(): ParameterDecorator & PropertyDecorator {
  return Inject(SERVICE_CONFIG);
}

/** What the kit gives to every provider of a service. */
export interface ServiceKitParts {
  readonly config: object;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly drain: Drain;
  readonly clients: Clients;
}

/** Makes the parts of the kit injectable everywhere in the application. */
@Global()
@Module({})
export class ServiceKitModule {
  /** The module with the parts of one service. */
  static with(parts: ServiceKitParts): DynamicModule {
    const providers = [
      { provide: SERVICE_CONFIG, useValue: parts.config },
      { provide: Logger, useValue: parts.log },
      { provide: Metrics, useValue: parts.metrics },
      { provide: Readiness, useValue: parts.readiness },
      { provide: Drain, useValue: parts.drain },
      { provide: Clients, useValue: parts.clients },
    ];
    return { module: ServiceKitModule, imports: [DiscoveryModule], providers, exports: providers };
  }
}
