import { LOG_LEVELS } from '@agentforge/telemetry';
import { z } from 'zod';
import { zDurationMs, zList, zPort, zSizeBytes } from './schemas.js';
import { type ConfigOf, type Setting, setting } from './settings.js';

/** Ports that a service has unless it is told otherwise. */
export interface DefaultPorts {
  readonly grpcPort: number;
  readonly httpPort: number;
}

/** The settings that every service has: addresses, limits, logging, drain. Spread them into your own. */
export function serverSettings(ports: DefaultPorts) {
  return {
    grpcHost: setting({
      env: 'FORGE_GRPC_HOST',
      schema: z.string(),
      default: '127.0.0.1',
      description: 'Address the gRPC server binds to',
    }),
    grpcPort: setting({
      env: 'FORGE_GRPC_PORT',
      schema: zPort,
      default: ports.grpcPort,
      description: 'Port of the gRPC server; 0 takes a free one',
    }),
    httpHost: setting({
      env: 'FORGE_HTTP_HOST',
      schema: z.string(),
      default: '127.0.0.1',
      description: 'Address that /metrics, /livez and /readyz bind to',
    }),
    httpPort: setting({
      env: 'FORGE_HTTP_PORT',
      schema: zPort,
      default: ports.httpPort,
      description: 'Port of /metrics, /livez and /readyz; 0 takes a free one',
    }),
    addressFile: setting({
      env: 'FORGE_ADDRESS_FILE',
      schema: z.string(),
      default: '',
      description: 'File that gets the addresses as JSON once the service listens',
    }),
    logLevel: setting({
      env: 'FORGE_LOG_LEVEL',
      schema: z.enum(LOG_LEVELS),
      default: 'info',
      description: `Least severe log level that is written: ${LOG_LEVELS.join(', ')}`,
    }),
    ...limitSettings(),
    ...drainSettings(),
  };
}

function limitSettings() {
  return {
    maxMessageBytes: setting({
      env: 'FORGE_MAX_MESSAGE_BYTES',
      schema: zSizeBytes,
      default: 4 * 2 ** 20,
      unit: 'bytes',
      description: 'Largest gRPC message, in either direction',
    }),
    maxConcurrentCalls: setting({
      env: 'FORGE_MAX_CONCURRENT_CALLS',
      schema: z.coerce.number().int().min(1),
      default: 1000,
      unit: 'calls',
      description: 'Calls served at once; more are refused with RESOURCE_EXHAUSTED',
    }),
    maxStreams: setting({
      env: 'FORGE_MAX_STREAMS',
      schema: z.coerce.number().int().min(1),
      default: 1000,
      unit: 'streams',
      description: 'Streams served at once, watches for example, besides the other calls; more are refused',
    }),
    clientCallsPerSecond: setting({
      env: 'FORGE_CLIENT_CALLS_PER_SECOND',
      schema: z.coerce.number().min(1),
      default: 3000,
      unit: 'calls/s',
      description:
        'Calls that one client may make, by address and tenant; more are refused with the time to wait',
    }),
    clientShare: setting({
      env: 'FORGE_CLIENT_SHARE',
      schema: z.coerce.number().min(0.01).max(1),
      default: 0.75,
      description: 'Share of the calls and of the streams served at once that one client may hold',
    }),
    clientsPerAddress: setting({
      env: 'FORGE_CLIENTS_PER_ADDRESS',
      schema: z.coerce.number().min(1),
      default: 4,
      unit: 'clients',
      description:
        'Times the limits of a client that all tenants of an address share; others keep some places',
    }),
    maxConnectionAgeMs: setting({
      env: 'FORGE_MAX_CONNECTION_AGE_MS',
      schema: zDurationMs,
      default: 600_000,
      unit: 'ms',
      description: 'Age at which a client connection is asked to reconnect, so that load spreads',
    }),
    keepaliveMs: setting({
      env: 'FORGE_KEEPALIVE_MS',
      schema: zDurationMs.min(1000),
      default: 30_000,
      unit: 'ms',
      description: 'Time between keepalive pings on an idle connection',
    }),
    maxEventLoopLagMs: setting({
      env: 'FORGE_MAX_EVENT_LOOP_LAG_MS',
      schema: zDurationMs.min(1),
      default: 5000,
      unit: 'ms',
      description: 'Delay of the event loop above which /livez fails',
    }),
  };
}

function drainSettings() {
  return {
    drainGraceMs: setting({
      env: 'FORGE_DRAIN_GRACE_MS',
      schema: zDurationMs,
      default: 0,
      unit: 'ms',
      description: 'Wait between becoming not ready and stopping to accept; covers slow load balancers',
    }),
    drainTimeoutMs: setting({
      env: 'FORGE_DRAIN_TIMEOUT_MS',
      schema: zDurationMs.min(1),
      default: 25_000,
      unit: 'ms',
      description: 'Time for the whole drain after the grace; then what is left is cut',
    }),
    streamGraceMs: setting({
      env: 'FORGE_STREAM_GRACE_MS',
      schema: zDurationMs,
      default: 1000,
      unit: 'ms',
      description: 'Time an open stream gets to end itself during a drain before it ends as UNAVAILABLE',
    }),
  };
}

/** Where NATS is. Spread into your settings when the service uses streams. */
export function natsSettings() {
  return {
    natsUrl: setting({
      env: 'FORGE_NATS_URL',
      schema: zList,
      default: ['nats://127.0.0.1:4222'],
      description: 'NATS servers, separated by commas',
    }),
  };
}

/** Where the service keeps files. Spread into your settings when it has any. */
export function dataSettings() {
  return {
    dataDir: setting({
      env: 'FORGE_DATA_DIR',
      schema: z.string(),
      default: '.forge/data',
      description: 'Folder for artifacts and scratch files',
    }),
  };
}

/** Settings that {@link createService} needs. */
export type ServerSettings = ReturnType<typeof serverSettings>;

/** Configuration that every service has. */
export type ServerConfig = ConfigOf<ServerSettings>;

/** Settings of a service: its own, and those that every service has. */
// biome-ignore lint/suspicious/noExplicitAny: the value types of the service's own settings are kept by inference
export type ServiceSettings = ServerSettings & Readonly<Record<string, Setting<any>>>;
