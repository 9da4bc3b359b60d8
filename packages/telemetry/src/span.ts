import {
  createTraceState,
  type Link,
  type Span as OtelSpan,
  type SpanContext as OtelSpanContext,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace as traceApi,
} from '@opentelemetry/api';
import { currentContext, runInContext, type TraceContext } from './context.js';
import { ATTRIBUTES, type AttributeKey, type SpanName } from './names.js';
import { redactText } from './redaction.js';

/** Values of span attributes; undefined ones are left out. */
export type SpanAttributes = {
  readonly [Key in AttributeKey]?: string | number | bigint | boolean | undefined;
};

/** How a span is placed. */
export interface SpanOptions {
  /** Role in the trace; default `internal`. */
  readonly kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** Bounded addition to the name: an RPC's method, a stream. */
  readonly target?: string;
  /** Parent; default the current context's, `null` starts a new trace. */
  readonly parent?: TraceContext | null;
  /** Other traces this one belongs to, for example the run's. */
  readonly links?: readonly TraceContext[];
}

/** A piece of work on the time line of a trace. */
export interface Span {
  /** Where in the trace this span is; undefined while tracing is off. */
  readonly trace: TraceContext | undefined;
  /** Adds attributes. */
  set(attributes: SpanAttributes): void;
  /** Marks the span as failed. */
  fail(error: unknown): void;
  /** Ends the span; later calls do nothing. */
  end(): void;
}

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

const NO_SPAN: Span = Object.freeze({ trace: undefined, set() {}, fail() {}, end() {} });

/** How a tracer decides which traces are recorded. */
export interface TracerSettings {
  /** Whether nothing is recorded below a span that is not: then such spans need not be made. Default false. */
  readonly followsParents?: boolean;
}

let tracer: Tracer | undefined;
let followsParents = false;

/** Makes spans real, or stops that. For {@link startTracing} and tests. */
export function useTracer(next: Tracer | undefined, settings: TracerSettings = {}): void {
  tracer = next;
  followsParents = settings.followsParents ?? false;
}

/** Whether spans are recorded. */
export function isTracing(): boolean {
  return tracer !== undefined;
}

/**
 * Starts a span that the caller ends. While tracing is off this is one comparison; in a trace that is not recorded it is
 * little more, and the place of the parent is handed on.
 */
export function startSpan(name: SpanName, attributes: SpanAttributes = {}, options: SpanOptions = {}): Span {
  if (!tracer) return NO_SPAN;
  const parent = options.parent === undefined ? currentContext().trace : (options.parent ?? undefined);
  if (followsParents && parent?.sampled === false) return unrecorded(parent);
  const span = tracer.startSpan(
    options.target ? `${name} ${options.target}` : name,
    {
      kind: KINDS[options.kind ?? 'internal'],
      links: (options.links ?? []).map((link): Link => ({ context: toOtel(link) })),
    },
    parent ? traceApi.setSpanContext(ROOT_CONTEXT, toOtel(parent)) : ROOT_CONTEXT,
  );
  const trace = fromOtel(span.spanContext());
  if (!span.isRecording()) return unrecorded(trace);
  span.setAttributes(toAttributes(attributes));
  return new RecordedSpan(span, trace);
}

/** Runs a function inside a span, which ends with it and fails when it throws. */
export async function withSpan<T>(
  name: SpanName,
  attributes: SpanAttributes,
  run: (span: Span) => T | Promise<T>,
  options: SpanOptions = {},
): Promise<T> {
  if (!tracer) return run(NO_SPAN);
  const span = startSpan(name, attributes, options);
  const context = currentContext();
  if (span.trace === context.trace) return run(span);
  try {
    return await runInContext({ ...context, ...(span.trace ? { trace: span.trace } : {}) }, () => run(span));
  } catch (error) {
    span.fail(error);
    throw error;
  } finally {
    span.end();
  }
}

function unrecorded(trace: TraceContext): Span {
  return { ...NO_SPAN, trace };
}

class RecordedSpan implements Span {
  constructor(
    private readonly span: OtelSpan,
    readonly trace: TraceContext,
  ) {}

  set(attributes: SpanAttributes): void {
    this.span.setAttributes(toAttributes(attributes));
  }

  fail(error: unknown): void {
    const message = redactText(error instanceof Error ? error.message : String(error));
    this.span.setStatus({ code: SpanStatusCode.ERROR, message });
    this.span.recordException({ name: error instanceof Error ? error.name : 'Error', message });
  }

  end(): void {
    if (this.span.isRecording()) this.span.end();
  }
}

function toAttributes(attributes: SpanAttributes): Record<string, string | number | boolean> {
  const named: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(attributes)) {
    const name = ATTRIBUTES[key as AttributeKey];
    if (name === undefined || value === undefined) continue;
    named[name] =
      typeof value === 'bigint' ? value.toString() : typeof value === 'string' ? redactText(value) : value;
  }
  return named;
}

function fromOtel({ traceId, spanId, traceFlags, traceState }: OtelSpanContext): TraceContext {
  const state = traceState?.serialize();
  return {
    traceId,
    spanId,
    sampled: (traceFlags & TraceFlags.SAMPLED) !== 0,
    ...(state ? { state } : {}),
  };
}

function toOtel({ traceId, spanId, sampled, state }: TraceContext): OtelSpanContext {
  return {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state ? { traceState: createTraceState(state) } : {}),
  };
}
