import { setTimeout as sleep } from 'node:timers/promises';
import { useTracer } from './span.js';

/** What a process got from {@link startTracing}. */
export interface Tracing {
  /** Whether spans are recorded and exported. */
  readonly enabled: boolean;
  /** Exports what is left, then stops; resolves also when the collector is gone. */
  shutdown(): Promise<void>;
}

/** Longest wait for the last export when the process ends, ms. */
const SHUTDOWN_MS = 3000;

const OFF: Tracing = { enabled: false, shutdown: async () => {} };

/**
 * Whether the standard variables ask for traces: an OTLP endpoint is named, and neither
 * `OTEL_SDK_DISABLED=true` nor `OTEL_TRACES_EXPORTER=none` forbids it.
 */
export function wantsTracing(env: NodeJS.ProcessEnv): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false;
  if (env['OTEL_TRACES_EXPORTER']?.toLowerCase() === 'none') return false;
  return Boolean(env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']);
}

/**
 * Starts the export of spans when the standard `OTEL_*` variables ask for it; otherwise nothing is
 * loaded and spans cost one comparison. Endpoint, headers, protocol (`grpc` or `http/protobuf`),
 * sampler, batch sizes and resource attributes follow the OpenTelemetry specification and are read
 * by its SDK from `process.env`.
 * @param service  `service.name` unless `OTEL_SERVICE_NAME` says otherwise
 */
export async function startTracing(service: string, env: NodeJS.ProcessEnv = process.env): Promise<Tracing> {
  if (!wantsTracing(env)) return OFF;
  const [{ BatchSpanProcessor, NodeTracerProvider }, resources, exporter] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/resources'),
    createExporter(env),
  ]);
  const detected = resources.detectResources({
    detectors: [resources.envDetector, resources.hostDetector, resources.processDetector],
  });
  const provider = new NodeTracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': service }).merge(detected),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  useTracer(provider.getTracer('agentforge'), { followsParents: followsParents(env) });
  return {
    enabled: true,
    shutdown: async () => {
      useTracer(undefined);
      await Promise.race([
        provider.shutdown().catch(() => {}),
        sleep(SHUTDOWN_MS, undefined, { ref: false }),
      ]);
    },
  };
}

/** Samplers that look at each span by itself; all others, and unknown names, follow the parent. */
const PARENTLESS_SAMPLERS = ['always_on', 'always_off', 'traceidratio'];

/** Whether the sampler that the SDK takes from the variables records nothing below a parent that is not recorded. */
function followsParents(env: NodeJS.ProcessEnv): boolean {
  return !PARENTLESS_SAMPLERS.includes(env['OTEL_TRACES_SAMPLER']?.trim() ?? '');
}

async function createExporter(env: NodeJS.ProcessEnv) {
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ?? env['OTEL_EXPORTER_OTLP_PROTOCOL'];
  if (protocol === 'grpc') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
    return new OTLPTraceExporter();
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter();
}
