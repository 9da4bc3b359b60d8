import { AppError } from '@agentforge/errors';
import { type Span, startSpan } from '@agentforge/telemetry';
import type { DescMethod, DescService, Message } from '@bufbuild/protobuf';
import {
  credentials,
  type Client as GrpcClient,
  makeGenericClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { pathOf } from '../grpc/handler-types.js';
import { backoffMs, completePolicy, type FullRetryPolicy, mayRetry, wait } from './backoff.js';
import type { CallOptions, Client, ClientOptions } from './client-types.js';
import { OutgoingCall } from './outgoing-call.js';
import { targetOf } from './target.js';
import { callForOne, callForStream, type Requests } from './wire.js';

/** Deadline of calls with one response when nobody says otherwise, ms. */
const DEFAULT_DEADLINE_MS = 10_000;
/** Deadline of calls with a stream of responses when nobody says otherwise, ms. */
const DEFAULT_STREAM_DEADLINE_MS = 3_600_000;
/** Largest message when nobody says otherwise, bytes. */
const DEFAULT_MAX_MESSAGE_BYTES = 4 * 2 ** 20;
/** Pings that find out about a dead connection, ms. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 10_000 } as const;
/** First and longest wait before a lost connection is tried again, ms: services restart within seconds. */
const RECONNECT = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
} as const;

/**
 * Makes a typed client of a service.
 *
 * Every call has a deadline, carries the current request id, tenant, run and trace, ends when the
 * call being served ends, and fails with an AppError. UNAVAILABLE is retried with jitter, but only
 * methods that declare an `idempotency_level`; a stream only before its first message.
 * @param address  `host:port`, or several IP addresses, which are used in turn
 * @throws AppError INVALID_ARGUMENT  when an address cannot be used
 */
export function createClient<Service extends DescService>(
  service: Service,
  address: string | readonly string[],
  options: ClientOptions = {},
): Client<Service> {
  const maxBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  const Constructor = makeGenericClientConstructor({}, service.name);
  const grpc: GrpcClient = new Constructor(targetOf(address), credentials.createInsecure(), {
    ...KEEPALIVE,
    ...RECONNECT,
    'grpc.max_receive_message_length': maxBytes,
    'grpc.max_send_message_length': maxBytes,
    'grpc.enable_retries': 0,
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  });
  const caller = new Caller(grpc, options);
  const controls = {
    close: () => grpc.close(),
    ready: (timeoutMs: number) => untilReady(grpc, service, timeoutMs),
  };
  const methods = service.methods.map((method) => [method.localName, caller.functionOf(method)] as const);
  const clash = methods.find(([name]) => name in controls);
  if (clash)
    throw new TypeError(`${service.typeName} has a method ${clash[0]}, which every client has already`);
  return Object.freeze({ ...Object.fromEntries(methods), ...controls }) as Client<Service>;
}

/** Makes calls with deadline, retries, span and metrics. */
class Caller {
  private readonly policy: FullRetryPolicy;

  constructor(
    private readonly grpc: GrpcClient,
    private readonly options: ClientOptions,
  ) {
    this.policy = completePolicy(options.retries);
  }

  functionOf(method: DescMethod) {
    switch (method.methodKind) {
      case 'unary':
      case 'client_streaming':
        return (requests: Requests, options: CallOptions = {}) => this.forOne(method, requests, options);
      default:
        return (requests: Requests, options: CallOptions = {}) => this.forStream(method, requests, options);
    }
  }

  private async forOne(method: DescMethod, requests: Requests, options: CallOptions): Promise<Message> {
    const deadlineMs = this.options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    const { call, span, done } = this.begin(method, options, deadlineMs);
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const reply = await callForOne(this.grpc, method, requests, call, call.metadata(span.trace));
          done();
          return reply;
        } catch (error) {
          await this.retryOrThrow(method, AppError.from(error), attempt, call);
        }
      }
    } catch (error) {
      done(AppError.from(error));
      throw error;
    }
  }

  private async *forStream(
    method: DescMethod,
    requests: Requests,
    options: CallOptions,
  ): AsyncGenerator<Message> {
    const deadlineMs = this.options.streamDeadlineMs ?? DEFAULT_STREAM_DEADLINE_MS;
    const { call, span, done } = this.begin(method, options, deadlineMs);
    let hasReplies = false;
    let failure: AppError | undefined;
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          for await (const reply of callForStream(
            this.grpc,
            method,
            requests,
            call,
            call.metadata(span.trace),
          )) {
            hasReplies = true;
            yield reply;
          }
          return;
        } catch (error) {
          if (hasReplies) throw error;
          await this.retryOrThrow(method, AppError.from(error), attempt, call);
        }
      }
    } catch (error) {
      failure = AppError.from(error);
      throw error;
    } finally {
      done(failure);
    }
  }

  /** Waits for the next try, or throws the error when there is none. */
  private async retryOrThrow(
    method: DescMethod,
    error: AppError,
    attempt: number,
    call: OutgoingCall,
  ): Promise<void> {
    const delayMs = backoffMs(error, attempt, this.policy);
    const isTooLate = Date.now() + delayMs >= call.deadlineAt;
    const isStreamOfRequests =
      method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
    if (isTooLate || isStreamOfRequests || !mayRetry(method, error, attempt, this.policy)) throw error;
    const labels = { service: method.parent.typeName, method: method.name };
    this.options.metrics?.counter('rpcClientRetries').inc(labels);
    await wait(delayMs, call.signal);
  }

  private begin(method: DescMethod, options: CallOptions, deadlineMs: number) {
    const call = new OutgoingCall(
      options,
      deadlineMs,
      this.options.headers ?? {},
      this.options.waitForReady ?? false,
    );
    const labels = { service: method.parent.typeName, method: method.name };
    const attributes = { rpcService: labels.service, method: labels.method };
    const span: Span = startSpan('rpc.client', attributes, {
      kind: 'client',
      target: pathOf(method).slice(1),
    });
    const startedAt = performance.now();
    const done = (error?: AppError) => {
      const code = error?.code ?? 'OK';
      call.finish();
      span.set({ code });
      if (error) span.fail(error);
      span.end();
      const seconds = (performance.now() - startedAt) / 1000;
      this.options.metrics?.histogram('rpcClientDuration').observe({ ...labels, code }, seconds);
    };
    return { call, span, done };
  }
}

function untilReady(grpc: GrpcClient, service: DescService, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    grpc.waitForReady(Date.now() + timeoutMs, (error?: Error | ServiceError) => {
      if (!error) return resolve();
      const target = grpc.getChannel().getTarget();
      const text = `${service.typeName} at ${target} is not reachable within ${timeoutMs} ms`;
      reject(new AppError('UNAVAILABLE', text, { cause: error }));
    });
  });
}
