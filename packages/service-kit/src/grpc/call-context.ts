import { AsyncLocalStorage } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import { AppError } from '@agentforge/errors';
import type { DescMethod } from '@bufbuild/protobuf';
import {
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';

/** The server side of any kind of call, before decoding. */
export type WireCall =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerReadableStream<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

/** What a handler knows about the call it serves; also what `switchToRpc().getContext()` returns. */
export interface CallContext {
  readonly method: DescMethod;
  /** Full name of the service, `agentforge.pipeline.v1.PipelineService`. */
  readonly service: string;
  /** Aborts when the client cancels, the deadline passes or a drain is forced; its reason is an AppError. */
  readonly signal: AbortSignal;
  /** Aborts when the service begins to drain: a stream that lives long should end itself. */
  readonly draining: AbortSignal;
  readonly deadline: Date | undefined;
  /** Milliseconds until the deadline, ≥ 0; Infinity without one. */
  timeRemainingMs(): number;
  readonly requestId: string;
  readonly tenant: string | undefined;
  /** Address of the caller. */
  readonly peer: string;
  /** A text header of the request; names are case-insensitive. */
  header(name: string): string | undefined;
  /** Adds a header to the response; has an effect before the first message only. */
  setHeader(name: string, value: string): void;
  /** Adds a trailer to the response. */
  setTrailer(name: string, value: string): void;
}

const calls = new AsyncLocalStorage<CallContext>();

/** The call that the running code serves; undefined outside a handler. */
export function currentCall(): CallContext | undefined {
  return calls.getStore();
}

/** Runs a function, and all it starts, as part of serving a call. */
export function runInCall<T>(call: CallContext, run: () => T): T {
  return calls.run(call, run);
}

/** The one implementation of {@link CallContext}; lives as long as its call. */
export class ServerCall implements CallContext {
  readonly service: string;
  readonly deadline: Date | undefined;
  readonly headers = new Metadata();
  readonly trailers = new Metadata();
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout | undefined;
  private isFinished = false;

  constructor(
    readonly method: DescMethod,
    private readonly wire: WireCall,
    readonly requestId: string,
    readonly tenant: string | undefined,
    readonly draining: AbortSignal,
  ) {
    this.service = method.parent.typeName;
    const deadline = wire.getDeadline();
    const at = deadline instanceof Date ? deadline.getTime() : deadline;
    if (Number.isFinite(at)) {
      this.deadline = new Date(at);
      this.timer = setTimeout(
        () => this.abort(deadlineExceeded(method)),
        Math.min(this.timeRemainingMs(), MAX_TIMER_MS),
      );
      this.timer.unref();
    }
    // grpc-js also says this when a stream closes after its status.
    (wire as EventEmitter).once('cancelled', () => {
      if (!this.isFinished) this.abort(cancelled(this));
    });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get peer(): string {
    return this.wire.getPeer();
  }

  timeRemainingMs(): number {
    return this.deadline ? Math.max(0, this.deadline.getTime() - Date.now()) : Number.POSITIVE_INFINITY;
  }

  header(name: string): string | undefined {
    const [value] = this.wire.metadata.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  setHeader(name: string, value: string): void {
    this.headers.set(name, value);
  }

  setTrailer(name: string, value: string): void {
    this.trailers.set(name, value);
  }

  /** Ends the call from outside its handler: the signal aborts with this reason. */
  abort(reason: AppError): void {
    if (!this.isFinished && !this.controller.signal.aborted) this.controller.abort(reason);
  }

  /** The call has its status: nothing aborts it any more. The stream's later close looks like a cancel. */
  finish(): void {
    this.isFinished = true;
    clearTimeout(this.timer);
  }
}

/** setTimeout fires at once beyond 2^31 - 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function deadlineExceeded(method: DescMethod): AppError {
  return new AppError('DEADLINE_EXCEEDED', `${method.name} did not finish before its deadline`);
}

/** A client that gives up at its deadline cancels; both look alike on the wire, the clock tells them apart. */
function cancelled(call: ServerCall): AppError {
  if (call.timeRemainingMs() === 0) return deadlineExceeded(call.method);
  return new AppError('CANCELLED', `${call.method.name} was cancelled by the caller`);
}
