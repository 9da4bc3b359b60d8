export {
  bindContext,
  currentContext,
  newTrace,
  runInContext,
  type TelemetryContext,
  type TraceContext,
} from './context.js';
export {
  createLogger,
  LOG_LEVELS,
  type LogFields,
  Logger,
  type LoggerOptions,
  type LogLevel,
} from './logger.js';
export {
  LABELS,
  type LabelName,
  type LabelsOf,
  MAX_SERIES,
  METRICS,
  type MetricKey,
  type MetricKeyOf,
  type MetricSpec,
} from './metric-names.js';
export {
  createMetrics,
  type ForgeCounter,
  type ForgeGauge,
  type ForgeHistogram,
  Metrics,
  type Reading,
} from './metrics.js';
export {
  ATTRIBUTES,
  type AttributeKey,
  LOG_EVENTS,
  type LogEvent,
  SPANS,
  type SpanName,
} from './names.js';
export {
  CONTEXT_HEADERS,
  extractContext,
  formatTraceparent,
  injectContext,
  parseTraceparent,
} from './propagation.js';
export { isSecretKey, loggable, redactText } from './redaction.js';
export {
  isTracing,
  type Span,
  type SpanAttributes,
  type SpanOptions,
  startSpan,
  withSpan,
} from './span.js';
export { startTracing, type Tracing, wantsTracing } from './tracing.js';
