import { AppError } from '@agentforge/errors';
import { currentContext, injectContext, type TraceContext } from '@agentforge/telemetry';
import { Metadata } from '@grpc/grpc-js';
import { currentCall } from '../grpc/call-context.js';
import type { CallOptions } from './client-types.js';

/** Deadline, cancellation and headers of one call with all its tries. */
export class OutgoingCall {
  /** Point in time, ms since the epoch. */
  readonly deadlineAt: number;
  private readonly controller = new AbortController();
  private readonly unlink: (() => void)[] = [];

  constructor(
    readonly options: CallOptions,
    defaultDeadlineMs: number,
    private readonly clientHeaders: Readonly<Record<string, string>>,
    private readonly waitForReady: boolean,
  ) {
    const serving = options.detached ? undefined : currentCall();
    const own = Date.now() + (options.deadlineMs ?? defaultDeadlineMs);
    this.deadlineAt = Math.min(own, serving?.deadline?.getTime() ?? Number.POSITIVE_INFINITY);
    this.follow(options.signal);
    this.follow(serving?.signal);
  }

  /** Aborts when the caller, or the call being served, gives up. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Headers of one try: the current context, the client's and the call's own. */
  metadata(trace: TraceContext | undefined): Metadata {
    const context = currentContext();
    const headers = injectContext({}, trace ? { ...context, trace } : context);
    const metadata = new Metadata(this.waitForReady ? { waitForReady: true } : {});
    for (const [name, value] of Object.entries({
      ...headers,
      ...this.clientHeaders,
      ...this.options.headers,
    })) {
      metadata.set(name, value);
    }
    return metadata;
  }

  /** Stops listening to the signals. */
  finish(): void {
    for (const unlink of this.unlink.splice(0)) unlink();
  }

  private follow(signal: AbortSignal | undefined): void {
    if (!signal) return;
    const abort = () => this.controller.abort(cancelledBy(signal));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    this.unlink.push(() => signal.removeEventListener('abort', abort));
  }
}

/** The reason as an AppError: a deadline that passed stays one, anything else is a cancellation. */
function cancelledBy(signal: AbortSignal): AppError {
  const { reason } = signal;
  if (reason instanceof AppError && reason.code === 'DEADLINE_EXCEEDED') return reason;
  return new AppError('CANCELLED', 'the call was cancelled by its caller', { cause: reason });
}
