import { currentContext, type TelemetryContext, type TraceContext } from './context.js';

/** Header names on gRPC metadata and NATS messages alike; all lower case, NATS compares case. */
export const CONTEXT_HEADERS = {
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  requestId: 'x-request-id',
  tenant: 'x-forge-tenant',
  runId: 'x-forge-run',
} as const;

/** version 00, trace id, parent id, flags: https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** Visible ASCII, so that a header of ours can neither break a line nor a log. */
const SAFE_VALUE = /^[\x21-\x7e]{1,256}$/;

/** Parses a `traceparent` header; undefined when it is malformed, as the standard demands. */
export function parseTraceparent(header: string, state?: string): TraceContext | undefined {
  const match = TRACEPARENT.exec(header.trim());
  if (!match) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  return { traceId, spanId, sampled, ...(state ? { state } : {}) };
}

/** Writes a `traceparent` header, version 00. */
export function formatTraceparent(trace: TraceContext): string {
  return `00-${trace.traceId}-${trace.spanId}-${trace.sampled ? '01' : '00'}`;
}

/**
 * Writes a context into a plain header map and returns the map.
 * @param headers  receives the entries; existing ones of the same name are replaced
 * @param context  default: the current one
 */
export function injectContext(
  headers: Record<string, string>,
  context: TelemetryContext = currentContext(),
): Record<string, string> {
  const { trace, requestId, tenant, runId } = context;
  if (trace) {
    headers[CONTEXT_HEADERS.traceparent] = formatTraceparent(trace);
    if (trace.state) headers[CONTEXT_HEADERS.tracestate] = trace.state;
  }
  if (requestId) headers[CONTEXT_HEADERS.requestId] = requestId;
  if (tenant) headers[CONTEXT_HEADERS.tenant] = tenant;
  if (runId) headers[CONTEXT_HEADERS.runId] = runId;
  return headers;
}

/**
 * Reads a context from headers. Malformed values are dropped: they come from outside.
 * @param read  value of a header by its lower-case name, or undefined
 */
export function extractContext(read: (name: string) => string | undefined): TelemetryContext {
  const parent = read(CONTEXT_HEADERS.traceparent);
  const trace = parent ? parseTraceparent(parent, safe(read(CONTEXT_HEADERS.tracestate))) : undefined;
  const requestId = safe(read(CONTEXT_HEADERS.requestId));
  const tenant = safe(read(CONTEXT_HEADERS.tenant));
  const runId = safe(read(CONTEXT_HEADERS.runId));
  return {
    ...(trace ? { trace } : {}),
    ...(requestId ? { requestId } : {}),
    ...(tenant ? { tenant } : {}),
    ...(runId ? { runId } : {}),
  };
}

function safe(value: string | undefined): string | undefined {
  return value !== undefined && SAFE_VALUE.test(value) ? value : undefined;
}
