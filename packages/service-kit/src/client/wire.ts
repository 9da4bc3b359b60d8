import { AppError } from '@agentforge/errors';
import { type DescMethod, fromBinary, type Message } from '@bufbuild/protobuf';
import type {
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  Client as GrpcClient,
  Metadata,
  ServiceError,
} from '@grpc/grpc-js';
import { encode } from '../grpc/codec.js';
import { pathOf } from '../grpc/handler-types.js';
import { fromServiceError } from '../grpc/status.js';
import type { OutgoingCall } from './outgoing-call.js';

/** What goes into a call: the fields of one message, or a stream of them. */
export type Requests = object | AsyncIterable<object>;

type AnyCall =
  | ClientUnaryCall
  | ClientWritableStream<object>
  | ClientReadableStream<Message>
  | ClientDuplexStream<object, Message>;

/** One try of a call with one response. @throws AppError */
export async function callForOne(
  grpc: GrpcClient,
  method: DescMethod,
  requests: Requests,
  call: OutgoingCall,
  metadata: Metadata,
): Promise<Message> {
  const { signal } = call;
  if (signal.aborted) throw signal.reason;
  let stop = () => {};
  try {
    return await new Promise<Message>((resolve, reject) => {
      const answered = (error: ServiceError | null, reply?: Message) =>
        error ? reject(error) : resolve(reply as Message);
      const options = { deadline: call.deadlineAt };
      const { serialize, deserialize, path } = codecOf(method);
      let wire: ClientUnaryCall | ClientWritableStream<object>;
      if (method.methodKind === 'unary') {
        const request = requests as object;
        wire = grpc.makeUnaryRequest(path, serialize, deserialize, request, metadata, options, answered);
      } else {
        const stream = grpc.makeClientStreamRequest(
          path,
          serialize,
          deserialize,
          metadata,
          options,
          answered,
        );
        wire = stream;
        sendAll(requests as AsyncIterable<object>, stream).catch((error) => {
          reject(error);
          stream.cancel();
        });
      }
      stop = cancelOn(signal, wire);
      passHeaders(wire, call);
    });
  } catch (error) {
    throw errorOf(error, signal);
  } finally {
    stop();
  }
}

/** One try of a call with a stream of responses; leaving the loop cancels it. @throws AppError */
export async function* callForStream(
  grpc: GrpcClient,
  method: DescMethod,
  requests: Requests,
  call: OutgoingCall,
  metadata: Metadata,
): AsyncGenerator<Message> {
  const { signal } = call;
  if (signal.aborted) throw signal.reason;
  const options = { deadline: call.deadlineAt };
  const { serialize, deserialize, path } = codecOf(method);
  let sendFailure: { error: unknown } | undefined;
  let wire: ClientReadableStream<Message> | ClientDuplexStream<object, Message>;
  if (method.methodKind === 'server_streaming') {
    wire = grpc.makeServerStreamRequest(path, serialize, deserialize, requests as object, metadata, options);
  } else {
    const duplex = grpc.makeBidiStreamRequest(path, serialize, deserialize, metadata, options);
    wire = duplex;
    sendAll(requests as AsyncIterable<object>, duplex).catch((error) => {
      sendFailure = { error };
      duplex.cancel();
    });
  }
  const stop = cancelOn(signal, wire);
  passHeaders(wire, call);
  wire.on('error', () => {}); // after the loop has been left nobody else listens
  try {
    for await (const reply of wire.iterator({ destroyOnReturn: false })) yield reply as Message;
  } catch (error) {
    throw sendFailure ? sendFailure.error : errorOf(error, signal);
  } finally {
    stop();
    wire.cancel();
  }
}

function codecOf(method: DescMethod) {
  return {
    path: pathOf(method),
    serialize: (request: object) => encode(method.input, request),
    deserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

/** Writes requests as fast as the server takes them, then ends the stream. */
async function sendAll(
  requests: AsyncIterable<object>,
  wire: ClientWritableStream<object> | ClientDuplexStream<object, Message>,
): Promise<void> {
  let isOver = false;
  let wake = () => {};
  const over = () => {
    isOver = true;
    wake();
  };
  wire.once('status', over); // the server may answer before it has read everything
  for await (const request of requests) {
    if (isOver) return;
    if (wire.write(request)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
      wire.once('drain', resolve);
      if (isOver) resolve();
    });
  }
  wire.end();
}

function cancelOn(signal: AbortSignal, wire: AnyCall): () => void {
  const cancel = () => wire.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

function passHeaders(wire: AnyCall, call: OutgoingCall): void {
  const { onHeader } = call.options;
  if (!onHeader) return;
  wire.once('metadata', (metadata: Metadata) => {
    onHeader((name) => {
      const [value] = metadata.get(name);
      return typeof value === 'string' ? value : undefined;
    });
  });
}

function errorOf(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const isServiceError =
    error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
  return isServiceError ? fromServiceError(error as ServiceError) : AppError.from(error);
}
