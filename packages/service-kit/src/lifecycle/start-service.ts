import { createLogger, startTracing } from '@agentforge/telemetry';
import type { DynamicModule, Type } from '@nestjs/common';
import type { ServiceSettings } from '../config/server-settings.js';
import { ConfigError } from '../config/settings.js';
import { createService, type RunningService, type ServiceOptions } from './create-service.js';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a service as this process: starts tracing and the service, drains on SIGTERM or SIGINT, cuts
 * the drain short on a second signal, and sets the exit code: 0 after a clean drain, 1 otherwise.
 * A start that fails is logged in one line and ends the process with 1; wrong settings with 2.
 */
export async function startService<S extends ServiceSettings>(
  module: Type | DynamicModule,
  options: ServiceOptions<S>,
): Promise<RunningService<S>> {
  const tracing = await startTracing(options.name);
  const exit = async (code: number): Promise<never> => {
    await tracing.shutdown();
    process.exit(code);
  };
  let service: RunningService<S> | undefined;
  let isStopping = false;
  const stop = async (reason: string, failed: boolean) => {
    if (isStopping) {
      service?.force();
      return;
    }
    isStopping = true;
    const result = await service?.drain(reason);
    await exit(failed || (result && result.forced.length > 0) ? 1 : 0);
  };
  for (const signal of SIGNALS) process.on(signal, () => void stop(signal, false));
  const bootLog = createLogger({ service: options.name });
  process.on('uncaughtException', (error) => {
    (service?.log ?? bootLog).fatal('process.failed', { error });
    void stop('uncaught exception', true);
  });
  process.on('unhandledRejection', (error) => {
    (service?.log ?? bootLog).fatal('process.rejection', { error });
    void stop('unhandled rejection', true);
  });
  try {
    service = await createService(module, options);
    return service;
  } catch (error) {
    bootLog.fatal('service.failed', { error });
    return exit(error instanceof ConfigError ? 2 : 1);
  }
}
