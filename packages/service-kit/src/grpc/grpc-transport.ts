import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';
import {
  CONTEXT_HEADERS,
  extractContext,
  type Logger,
  type Metrics,
  newTrace,
  runInContext,
  startSpan,
} from '@agentforge/telemetry';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import {
  Server as GrpcServer,
  type Metadata,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  setLogger,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import type { ServerConfig } from '../config/server-settings.js';
import type { Readiness } from '../ops/readiness.js';
import { runInCall, ServerCall, type WireCall } from './call-context.js';
import { ClientLimits, type ClientRefusal, callerOf } from './client-limits.js';
import { GRPC_TRANSPORT } from './grpc-service.decorator.js';
import { pathOf } from './handler-types.js';
import { addHealth } from './health.js';
import { OpenCalls } from './open-calls.js';
import { addReflection } from './reflection.js';
import {
  type CallOutcome,
  drainingError,
  serveClientStream,
  serveResponseStream,
  serveUnary,
  type WrappedHandler,
} from './serve-call.js';
import { toWireStatus } from './status.js';

/** What the transport is made of. */
export interface GrpcTransportParts {
  readonly config: ServerConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  /** Aborts when the service begins to drain. */
  readonly draining: AbortSignal;
}

type AnyResponder = sendUnaryData<Buffer>;
type Serve = (call: ServerCall) => Promise<CallOutcome>;
type Refuse = (status: { code: number; details: string; metadata: Metadata }) => void;

/** The address of the gRPC server cannot be bound. */
export class UnboundError extends AppError {
  constructor(address: string, cause: Error) {
    super('UNAVAILABLE', `the gRPC server cannot listen on ${address}: ${cause.message}`, { cause });
  }
}

/** Calls whose answers are a stream. */
const RESPONSE_STREAMS: ReadonlySet<string> = new Set(['server_streaming', 'bidi_streaming']);
/** A client that was quiet may make the calls of this many seconds at once. */
const BURST_SECONDS = 2;
/** A flood must not fill the log: refusals are written at most this often, with their number. */
const REFUSAL_LOG_MS = 1_000;
/** Suggested wait of a caller that met the limit of concurrent calls, ms. */
const OVERLOAD_RETRY_MS = 500;
/** Time a connection that is too old gets for its open calls, ms. */
const CONNECTION_AGE_GRACE_MS = 60_000;
/** Time that written answers get to reach callers before connections are cut, ms. */
const FLUSH_MS = 500;
/** Wait for the answer to a keepalive ping, ms. */
const KEEPALIVE_TIMEOUT_MS = 10_000;

/**
 * Serves protobuf-es services over grpc-js behind Nest's guards, pipes, interceptors and filters.
 * Messages stay bytes inside grpc-js; handlers are async functions and async generators.
 */
export class GrpcTransport extends Server implements CustomTransportStrategy {
  private readonly server: GrpcServer;
  private readonly calls: Pool;
  private readonly streams: Pool;
  private services: readonly DescService[] = [];
  private port = 0;
  private refused = 0;
  private refusalLoggedMs = Number.NEGATIVE_INFINITY;
  private allClosed: Promise<void> = Promise.resolve();

  constructor(private readonly parts: GrpcTransportParts) {
    super();
    this.transportId = GRPC_TRANSPORT;
    const { maxConcurrentCalls, maxStreams } = parts.config;
    this.calls = poolOf(maxConcurrentCalls, parts.config);
    this.streams = poolOf(maxStreams, parts.config);
    this.server = new GrpcServer(serverOptions(parts.config));
    sendLibraryLogTo(parts.log);
  }

  /** Sets what to serve; before {@link listen}. */
  serve(services: readonly DescService[]): void {
    this.services = services;
  }

  /** Address that clients on this machine can use; set once it listens. */
  get address(): string {
    const { grpcHost } = this.parts.config;
    const host = grpcHost === '0.0.0.0' || grpcHost === '::' ? '127.0.0.1' : grpcHost;
    return `${host}:${this.port}`;
  }

  /** Adds the services, health and reflection, and binds the port. Called by Nest. */
  listen(callback: (error?: unknown) => void): void {
    try {
      for (const service of this.services) {
        this.server.addService(definitionOf(service), this.implementationOf(service));
      }
      addHealth(this.server, this.services, this.parts.readiness);
      addReflection(this.server, this.services);
    } catch (error) {
      callback(error);
      return;
    }
    const { grpcHost, grpcPort } = this.parts.config;
    const address = `${grpcHost}:${grpcPort}`;
    this.server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      this.port = port;
      callback(error ? new UnboundError(address, error) : undefined);
    });
  }

  /** Takes no new connections and calls; open ones go on. */
  stopAccepting(): void {
    this.allClosed = new Promise((resolve) => this.server.tryShutdown(() => resolve()));
  }

  /**
   * Waits for open calls. Streams that have not ended themselves after the grace end as
   * UNAVAILABLE; when the signal aborts, so do all calls.
   */
  async finishCalls(signal: AbortSignal): Promise<void> {
    const grace = setTimeout(() => this.streams.open.abort(drainingError()), this.parts.config.streamGraceMs);
    const cut = () => this.abortAll();
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    await Promise.all([this.calls.open.idle(), this.streams.open.idle()]);
    clearTimeout(grace);
    signal.removeEventListener('abort', cut);
    // The last answers are written; connections close once the callers have them.
    await Promise.race([this.allClosed, sleep(FLUSH_MS, undefined, { ref: false })]);
  }

  /** Destroys what is left. Called by Nest when the application closes. */
  close(): void {
    this.abortAll();
    this.server.forceShutdown();
  }

  private abortAll(): void {
    for (const { open } of [this.calls, this.streams]) open.abort(drainingError());
  }

  /** Events of the underlying server are not offered. */
  on(): never {
    throw new TypeError('the gRPC transport has no events');
  }

  /** The grpc-js server. */
  unwrap<T>(): T {
    return this.server as T;
  }

  private implementationOf(service: DescService): UntypedServiceImplementation {
    return Object.fromEntries(service.methods.map((method) => [method.name, this.handlerOf(method)]));
  }

  private handlerOf(method: DescMethod): UntypedServiceImplementation[string] {
    const handler = this.getHandlerByPattern(pathOf(method)) as WrappedHandler | null;
    if (!handler) throw new AppError('UNIMPLEMENTED', `no controller handles ${pathOf(method)}`);
    if (method.methodKind === 'unary') {
      return (wire: ServerUnaryCall<Buffer, Buffer>, respond: AnyResponder) =>
        this.take(method, wire, respond, (call) => serveUnary(method, handler, wire, respond, call));
    }
    if (method.methodKind === 'client_streaming') {
      return (wire: ServerReadableStream<Buffer, Buffer>, respond: AnyResponder) =>
        this.take(method, wire, respond, (call) => serveClientStream(method, handler, wire, respond, call));
    }
    return (wire: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>) =>
      this.take(
        method,
        wire,
        (status) => wire.emit('error', status),
        (call) => serveResponseStream(method, handler, wire, call),
      );
  }

  /** Gives a call its context, span and place, serves it, and records how it went. */
  private take(method: DescMethod, wire: WireCall, refuse: Refuse, serve: Serve): void {
    const startedAt = performance.now();
    const incoming = extractContext((name) => textHeader(wire, name));
    const requestId = incoming.requestId ?? randomUUID();
    const call = new ServerCall(method, wire, requestId, incoming.tenant, this.parts.draining);
    // Watches live long: they have places of their own, so that they leave those of short calls alone.
    const pool = RESPONSE_STREAMS.has(method.methodKind) ? this.streams : this.calls;
    const caller = callerOf(call.peer, call.tenant);
    const refusal = pool.open.isFull ? 'full' : pool.limits.take(caller, pool.open.limit, startedAt);
    if (refusal) {
      this.refuse(call, refuse, pool, refusal === 'full' ? undefined : refusal);
      return;
    }
    pool.open.add(call);
    const target = pathOf(method).slice(1);
    const attributes = { rpcService: call.service, method: method.name, requestId, tenant: call.tenant };
    const span = startSpan('rpc.server', attributes, {
      kind: 'server',
      target,
      parent: incoming.trace ?? null,
    });
    const trace = span.trace ?? incoming.trace ?? newTrace();
    call.setHeader(CONTEXT_HEADERS.requestId, requestId);
    const labels = { service: call.service, method: method.name };
    const inFlight = this.parts.metrics.gauge('rpcServerInFlight');
    inFlight.inc(labels);
    runInContext({ ...incoming, requestId, trace }, () =>
      runInCall(call, async () => {
        const outcome = await serve(call);
        pool.open.delete(call);
        pool.limits.release(caller);
        inFlight.dec(labels);
        span.set({ code: outcome.code });
        if (outcome.code !== 'OK') span.fail(outcome.error);
        span.end();
        this.record(call, outcome, performance.now() - startedAt);
      }),
    );
  }

  private record(call: ServerCall, outcome: CallOutcome, durationMs: number): void {
    const { log, metrics } = this.parts;
    const { service } = call;
    const method = call.method.name;
    const { code } = outcome;
    metrics.histogram('rpcServerDuration').observe({ service, method, code }, durationMs / 1000);
    const fields = {
      rpcService: service,
      method,
      code,
      durationMs: Math.round(durationMs * 10) / 10,
      peer: call.peer,
    };
    if (outcome.code === 'OK') log.debug('rpc.finished', fields);
    else if (outcome.errorId)
      log.error('rpc.failed', { ...fields, errorId: outcome.errorId, error: outcome.error });
    else log.info('rpc.finished', { ...fields, reason: outcome.message });
  }

  /** Refusals are counted each, and written once in a while. */
  private logRefusal(call: ServerCall, reason: string, limit: number): void {
    this.refused += 1;
    const nowMs = performance.now();
    if (nowMs - this.refusalLoggedMs < REFUSAL_LOG_MS) return;
    const { service: rpcService, peer } = call;
    const count = this.refused;
    this.parts.log.warn('rpc.refused', { rpcService, method: call.method.name, limit, reason, peer, count });
    this.refusalLoggedMs = nowMs;
    this.refused = 0;
  }

  private refuse(
    call: ServerCall,
    refuse: Refuse,
    { open: { limit } }: Pool,
    refusal: ClientRefusal | undefined,
  ): void {
    const { metrics, config } = this.parts;
    call.finish();
    const words = refusal ? wordsOf(refusal, config) : `${limit} calls are being served already`;
    const kind = refusal?.reason ?? 'concurrency';
    const error = new AppError('RESOURCE_EXHAUSTED', `${words}; try again later`, {
      reason: refusal ? 'CLIENT_LIMIT' : 'TOO_MANY_CALLS',
      retryAfterMs: refusal?.retryAfterMs ?? OVERLOAD_RETRY_MS,
    });
    const { number, message, metadata } = toWireStatus(error);
    metrics.counter('rpcServerRefused').inc({ reason: kind });
    const labels = { service: call.service, method: call.method.name, code: error.code };
    metrics.histogram('rpcServerDuration').observe(labels, 0);
    this.logRefusal(call, kind, limit);
    refuse({ code: number, details: message, metadata });
  }
}

/** One kind of calls: the places, and what each client may have of them. */
interface Pool {
  readonly open: OpenCalls;
  readonly limits: ClientLimits;
}

function poolOf(
  places: number,
  { clientCallsPerSecond: callsPerSecond, clientShare: share, clientsPerAddress }: ServerConfig,
): Pool {
  const burst = callsPerSecond * BURST_SECONDS;
  return {
    open: new OpenCalls(places),
    limits: new ClientLimits({ callsPerSecond, burst, share, clientsPerAddress }),
  };
}

function wordsOf({ who, reason }: ClientRefusal, config: ServerConfig): string {
  const { clientCallsPerSecond, clientShare, clientsPerAddress } = config;
  const isClient = who === 'client';
  if (reason === 'rate')
    return isClient
      ? `this client makes more than ${clientCallsPerSecond} calls per second`
      : `the clients of this address make more than ${clientCallsPerSecond * clientsPerAddress} calls per second`;
  return isClient
    ? `this client holds ${Math.round(clientShare * 100)} % of the calls that are served at once`
    : 'the clients of this address hold as many of the calls that are served at once as they may';
}

/** grpc-js has one log per process: its lines join those of the service that started last. */
function sendLibraryLogTo(log: Logger): void {
  const line = (message: unknown) => log.warn('framework.message', { message, name: 'grpc' });
  setLogger({ error: line, info: line, debug: line });
}

function serverOptions(config: ServerConfig) {
  return {
    'grpc.max_receive_message_length': config.maxMessageBytes,
    'grpc.max_send_message_length': config.maxMessageBytes,
    'grpc.max_connection_age_ms': config.maxConnectionAgeMs,
    'grpc.max_connection_age_grace_ms': CONNECTION_AGE_GRACE_MS,
    'grpc.keepalive_time_ms': config.keepaliveMs,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  };
}

/** The grpc-js definition of a service whose messages stay bytes. */
function definitionOf(service: DescService): ServiceDefinition {
  const bytes = (value: Buffer) => value;
  return Object.fromEntries(
    service.methods.map((method) => [
      method.name,
      {
        path: pathOf(method),
        requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    ]),
  );
}

function textHeader(wire: WireCall, name: string): string | undefined {
  const [value] = wire.metadata.get(name);
  return typeof value === 'string' ? value : undefined;
}
