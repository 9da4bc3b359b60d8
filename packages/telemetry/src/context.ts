import { AsyncLocalStorage } from 'node:async_hooks';
import { randomFillSync } from 'node:crypto';

/** Position in a distributed trace, as W3C Trace Context defines it. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  readonly spanId: string;
  /** Whether the caller records this trace. */
  readonly sampled: boolean;
  /** Vendor data, passed on unchanged. */
  readonly state?: string;
}

/** What belongs to the request, message or step attempt being handled. */
export interface TelemetryContext {
  readonly requestId?: string;
  readonly tenant?: string;
  readonly projectId?: string;
  readonly runId?: string;
  readonly stepId?: string;
  readonly attemptId?: string;
  readonly trace?: TraceContext;
}

interface Scope {
  context: TelemetryContext;
}

const scopes = new AsyncLocalStorage<Scope>();
const NO_CONTEXT: TelemetryContext = Object.freeze({});

/** The context of the running code; empty outside any scope. */
export function currentContext(): TelemetryContext {
  return scopes.getStore()?.context ?? NO_CONTEXT;
}

/**
 * Runs a function, and all it starts, in a new scope. Nothing is inherited: to extend the current
 * context pass `{ ...currentContext(), runId }`.
 */
export function runInContext<T>(context: TelemetryContext, run: () => T): T {
  return scopes.run({ context }, run);
}

/** Adds to the context of the whole current scope, from now on. Without a scope it does nothing. */
export function bindContext(fields: TelemetryContext): void {
  const scope = scopes.getStore();
  if (scope) scope.context = { ...scope.context, ...fields };
}

/** Random bytes in stock: asking the system for each id costs as much as the rest of a small call. */
const stock = Buffer.alloc(4080);
let used = stock.length;

/** A new trace of its own: random ids, recorded. */
export function newTrace(): TraceContext {
  if (used >= stock.length) {
    randomFillSync(stock);
    used = 0;
  }
  const bytes = stock.toString('hex', used, used + 24);
  used += 24;
  return { traceId: bytes.slice(0, 32), spanId: bytes.slice(32), sampled: true };
}
