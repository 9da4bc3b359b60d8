import type { EventEmitter } from 'node:events';
import { AppError } from '@agentforge/errors';
import type { DescMethod, Message } from '@bufbuild/protobuf';
import type {
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js';
import { isObservable, lastValueFrom } from 'rxjs';
import type { ServerCall } from './call-context.js';
import { decode, encode } from './codec.js';
import { toWireStatus, type WireStatus } from './status.js';

/** A handler as the framework hands it out: guards, pipes, interceptors and filters around a method. */
export type WrappedHandler = (data: unknown, context: ServerCall) => unknown;

/** How one call ended: `OK` or the status that the caller got. */
export type CallOutcome = { readonly code: 'OK' } | (WireStatus & { readonly error: unknown });

const OK: CallOutcome = { code: 'OK' };

/** Serves a call with one request and one response. Never throws. */
export async function serveUnary(
  method: DescMethod,
  handler: WrappedHandler,
  wire: ServerUnaryCall<Buffer, Buffer>,
  respond: sendUnaryData<Buffer>,
  call: ServerCall,
): Promise<CallOutcome> {
  let running: Promise<unknown> | undefined;
  try {
    const request = decode(method.input, wire.request);
    running = settle(handler, request, call);
    const reply = encode(method.output, await untilAborted(running, call.signal));
    wire.sendMetadata(call.headers);
    call.finish();
    respond(null, reply, call.trailers);
    return OK;
  } catch (error) {
    const outcome = failed(error, call);
    respond({ code: outcome.number, details: outcome.message, metadata: outcome.metadata });
    await running?.catch(() => {}); // the slot stays taken until the handler has really ended
    return outcome;
  }
}

/** Serves a call whose requests are a stream and whose response is one message. Never throws. */
export async function serveClientStream(
  method: DescMethod,
  handler: WrappedHandler,
  wire: ServerReadableStream<Buffer, Buffer>,
  respond: sendUnaryData<Buffer>,
  call: ServerCall,
): Promise<CallOutcome> {
  let running: Promise<unknown> | undefined;
  wire.on('error', () => {}); // a destroyed stream emits; the signal already says why
  try {
    running = settle(handler, requestsOf(method, wire, call), call);
    const reply = encode(method.output, await untilAborted(running, call.signal));
    wire.sendMetadata(call.headers);
    call.finish();
    respond(null, reply, call.trailers);
    return OK;
  } catch (error) {
    const outcome = failed(error, call);
    respond({ code: outcome.number, details: outcome.message, metadata: outcome.metadata });
    await running?.catch(() => {});
    return outcome;
  }
}

/** Serves a call whose responses are a stream, whatever its requests are. Never throws. */
export async function serveResponseStream(
  method: DescMethod,
  handler: WrappedHandler,
  wire: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  call: ServerCall,
): Promise<CallOutcome> {
  wire.on('error', () => {});
  const pump = pumpReplies(method, handler, wire, call);
  try {
    await untilAborted(pump, call.signal);
    call.finish();
    wire.end(call.trailers);
    return OK;
  } catch (error) {
    const outcome = failed(error, call);
    wire.emit('error', { code: outcome.number, details: outcome.message, metadata: outcome.metadata });
    await pump.catch(() => {});
    return outcome;
  }
}

/** Pulls the handler's replies one by one, the next only when the stream has room for it. */
async function pumpReplies(
  method: DescMethod,
  handler: WrappedHandler,
  wire: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  call: ServerCall,
): Promise<void> {
  const data =
    method.methodKind === 'server_streaming'
      ? decode(method.input, (wire as ServerWritableStream<Buffer, Buffer>).request)
      : requestsOf(method, wire as ServerDuplexStream<Buffer, Buffer>, call);
  const replies = await settle(handler, data, call);
  if (!isAsyncIterable(replies)) {
    throw new TypeError(`${method.name} answers with a stream: its handler must be an async generator`);
  }
  let hasSentHeaders = false;
  for await (const reply of replies) {
    if (call.signal.aborted) return;
    const bytes = encode(method.output, reply);
    if (!hasSentHeaders) {
      wire.sendMetadata(call.headers);
      hasSentHeaders = true;
    }
    if (!wire.write(bytes)) await hasRoom(wire, call.signal);
    if (call.signal.aborted) return;
  }
}

/** The requests of a streaming call, read only as the handler asks for them. */
async function* requestsOf(
  method: DescMethod,
  wire: ServerReadableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  call: ServerCall,
): AsyncGenerator<Message> {
  try {
    for await (const bytes of wire.iterator({ destroyOnReturn: false })) {
      yield decode(method.input, bytes as Buffer);
    }
  } catch (error) {
    throw call.signal.aborted ? call.signal.reason : error;
  }
  if (call.signal.aborted) throw call.signal.reason;
}

/** Calls the handler and resolves what the framework's interceptors made of its result. */
async function settle(handler: WrappedHandler, data: unknown, call: ServerCall): Promise<unknown> {
  const result = await handler(data, call);
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}

function failed(error: unknown, call: ServerCall): WireStatus & { error: unknown } {
  const cause = call.signal.aborted ? call.signal.reason : error;
  call.finish();
  return { ...toWireStatus(cause, call.trailers), error: cause };
}

/** The promise's result, or the signal's reason as soon as it aborts. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw signal.reason;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    promise.catch(() => {});
  }
}

/** Resolves when a full stream has room again, or nobody will ever read it. */
function hasRoom(wire: EventEmitter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      wire.removeListener('drain', done);
      wire.removeListener('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    wire.once('drain', done);
    wire.once('close', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** What a stream ends with when the service stops while it is open. */
export function drainingError(): AppError {
  return new AppError('UNAVAILABLE', 'the service is stopping; try another instance', {
    reason: 'DRAINING',
    retryAfterMs: 0,
  });
}
