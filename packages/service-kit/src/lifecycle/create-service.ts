import { AppError } from '@agentforge/errors';
import { createLogger, createMetrics, Logger, type LoggerOptions, type Metrics } from '@agentforge/telemetry';
import type { DescService } from '@bufbuild/protobuf';
import type { INestMicroservice } from '@nestjs/common';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { DiscoveryService, NestFactory } from '@nestjs/core';
import { Clients } from '../client/clients.js';
import type { ServerConfig, ServiceSettings } from '../config/server-settings.js';
import { type ConfigOf, describeConfig, parseSettings } from '../config/settings.js';
import { missingHandlers, servicesOf } from '../grpc/grpc-service.decorator.js';
import { GrpcTransport } from '../grpc/grpc-transport.js';
import { EventLoopLag } from '../ops/event-loop-lag.js';
import { OpsServer } from '../ops/ops-server.js';
import { Readiness } from '../ops/readiness.js';
import { writeAddressFile } from './address-file.js';
import { Drain, type DrainResult } from './drain.js';
import { FrameworkLogger } from './framework-logger.js';
import { PassErrorsFilter } from './pass-errors.filter.js';
import { ServiceKitModule, type ServiceKitParts } from './service-kit.module.js';

/** What a service is made of, besides its module. */
export interface ServiceOptions<S extends ServiceSettings> {
  /** Name of the service, as in its folder; on every log line and metric. */
  readonly name: string;
  readonly settings: S;
  /** Variables to configure it from; default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Where log lines go; default standard output. */
  readonly logDestination?: LoggerOptions['destination'];
}

/** A service that runs. */
export interface RunningService<S extends ServiceSettings = ServiceSettings> {
  readonly name: string;
  readonly config: ConfigOf<S>;
  /** `host:port` of the gRPC server. */
  readonly grpcAddress: string;
  /** `host:port` of /metrics, /livez and /readyz. */
  readonly httpAddress: string;
  readonly log: Logger;
  /** A provider of the application. */
  get<T>(token: Type<T> | (abstract new (...parameters: never[]) => T) | string | symbol): T;
  /** Stops the service in good order; the same drain for every caller. */
  drain(reason: string): Promise<DrainResult>;
  /** Cuts a running drain short. */
  force(): void;
}

/** A controller does not handle what it declares, or two declare the same. */
export class UnservableError extends AppError {
  constructor(problems: readonly string[]) {
    super('FAILED_PRECONDITION', `the service cannot start: ${problems.join('; ')}`, {
      reason: 'UNSERVABLE',
    });
  }
}

/**
 * Starts a service inside this process, without touching signals or exit codes: for tests, and for
 * several services in one process.
 * @throws ConfigError      INVALID_ARGUMENT: names every wrong variable
 * @throws UnservableError  FAILED_PRECONDITION: names every RPC without a handler
 */
export async function createService<S extends ServiceSettings>(
  module: Type | DynamicModule,
  options: ServiceOptions<S>,
): Promise<RunningService<S>> {
  const config = parseSettings(options.settings, options.env ?? process.env);
  const server: ServerConfig = config as ConfigOf<ServiceSettings>;
  const log = createLogger({
    service: options.name,
    level: server.logLevel,
    ...(options.logDestination ? { destination: options.logDestination } : {}),
  });
  log.info('service.starting', { name: options.name, pid: process.pid });
  log.debug('config.loaded', { config: describeConfig(options.settings, config) });
  const metrics = createMetrics(options.name);
  const readiness = watchedReadiness(log, metrics);
  const drain = new Drain(log, server.drainTimeoutMs, server.drainGraceMs);
  const parts: ServiceKitParts = { config, log, metrics, readiness, drain, clients: new Clients(metrics) };
  const lag = new EventLoopLag();
  metrics.includeProcess();
  metrics.gauge('eventLoopLag').collect(() => [{ labels: {}, value: lag.maxMs() / 1000 }]);
  const { httpHost: host, httpPort: port, maxEventLoopLagMs: maxLagMs } = server;
  const ops = await OpsServer.listen({ host, port, metrics, readiness, lag, maxLagMs });
  const transport = new GrpcTransport({ config: server, log, metrics, readiness, draining: drain.signal });
  const stopOps = async () => {
    parts.clients.close();
    lag.stop();
    await ops.close();
  };
  let app: INestMicroservice;
  try {
    app = await startApplication(module, parts, transport);
  } catch (error) {
    await stopOps();
    throw error;
  }
  registerDrain(drain, readiness, transport, async () => {
    await app.close();
    await stopOps();
    log.info('service.stopped', { name: options.name });
  });
  const announcement = {
    service: options.name,
    grpc: transport.address,
    http: ops.address,
    pid: process.pid,
  };
  readiness.report('listening', true);
  log.info('service.listening', { grpc: announcement.grpc, http: announcement.http, pid: announcement.pid });
  if (server.addressFile !== '') writeAddressFile(server.addressFile, announcement);
  return {
    name: options.name,
    config,
    grpcAddress: transport.address,
    httpAddress: ops.address,
    log,
    get: (token) => app.get(token, { strict: false }),
    drain: (reason) => drain.run(reason),
    force: () => drain.force(),
  };
}

async function startApplication(
  module: Type | DynamicModule,
  parts: ServiceKitParts,
  transport: GrpcTransport,
): Promise<INestMicroservice> {
  class ServiceRoot {}
  Module({ imports: [ServiceKitModule.with(parts), module] })(ServiceRoot);
  const app = await NestFactory.createMicroservice(ServiceRoot, {
    strategy: transport,
    logger: new FrameworkLogger(parts.log),
    abortOnError: false,
  });
  try {
    app.useGlobalFilters(new PassErrorsFilter());
    transport.serve(declaredServices(app));
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** Every gRPC service that the controllers declare. @throws UnservableError */
function declaredServices(app: INestMicroservice): readonly DescService[] {
  const owners = new Map<DescService, string>();
  const problems: string[] = [];
  for (const { metatype } of app.get(DiscoveryService, { strict: false }).getControllers()) {
    if (typeof metatype !== 'function') continue;
    for (const service of servicesOf(metatype)) {
      const owner = owners.get(service);
      if (owner !== undefined) problems.push(`${owner} and ${metatype.name} both serve ${service.typeName}`);
      owners.set(service, metatype.name);
      const missing = missingHandlers(metatype as Type, service);
      if (missing.length > 0) problems.push(`${metatype.name} has no handler for ${missing.join(', ')}`);
    }
  }
  if (problems.length > 0) throw new UnservableError(problems);
  return [...owners.keys()];
}

function watchedReadiness(log: Logger, metrics: Metrics): Readiness {
  const readiness = new Readiness();
  const gauge = metrics.gauge('serviceReady');
  readiness.onChange((isReady) => {
    gauge.set({}, isReady ? 1 : 0);
    const failing = Object.entries(readiness.checks()).find(([, check]) => !check.isReady);
    const reason = failing ? `${failing[0]}: ${failing[1].reason}` : undefined;
    log.info('service.readiness', { ready: isReady, ...(reason ? { reason } : {}) });
  });
  return readiness;
}

function registerDrain(
  drain: Drain,
  readiness: Readiness,
  transport: GrpcTransport,
  close: () => Promise<void>,
): void {
  drain.on('not-ready', 'readiness', () => readiness.report('draining', false, 'the service is stopping'));
  drain.on('stop-pulling', 'grpc', () => transport.stopAccepting());
  drain.on('finish', 'grpc', (signal) => transport.finishCalls(signal));
  drain.on('close', 'service', close);
}
