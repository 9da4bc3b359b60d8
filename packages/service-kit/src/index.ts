import 'reflect-metadata';

export { isIdempotent } from './client/backoff.js';
export type {
  CallOptions,
  Client,
  ClientControls,
  ClientMethod,
  ClientOptions,
  RetryPolicy,
} from './client/client-types.js';
export { Clients } from './client/clients.js';
export { createClient } from './client/create-client.js';
export { zDurationMs, zFlag, zList, zPort, zSizeBytes } from './config/schemas.js';
export {
  type DefaultPorts,
  dataSettings,
  natsSettings,
  type ServerConfig,
  type ServerSettings,
  type ServiceSettings,
  serverSettings,
} from './config/server-settings.js';
export {
  ConfigError,
  type ConfigOf,
  defineSettings,
  describeConfig,
  parseSettings,
  renderConfigTable,
  type Setting,
  type Settings,
  setting,
} from './config/settings.js';
export { type CallContext, currentCall } from './grpc/call-context.js';
export { EncodedReply } from './grpc/codec.js';
export { GRPC_TRANSPORT, GrpcService } from './grpc/grpc-service.decorator.js';
export type { MethodHandler, Reply, ServiceHandlers } from './grpc/handler-types.js';
export { ERROR_DOMAIN, fromServiceError, toWireStatus, type WireStatus } from './grpc/status.js';
export type { Announcement } from './lifecycle/address-file.js';
export {
  createService,
  type RunningService,
  type ServiceOptions,
  UnservableError,
} from './lifecycle/create-service.js';
export { DRAIN_PHASES, Drain, type DrainHook, type DrainPhase, type DrainResult } from './lifecycle/drain.js';
export { InjectConfig, SERVICE_CONFIG } from './lifecycle/service-kit.module.js';
export { startService } from './lifecycle/start-service.js';
export { Readiness, type ReadinessCheck } from './ops/readiness.js';
