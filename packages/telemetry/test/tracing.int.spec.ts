import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  currentContext,
  isTracing,
  newTrace,
  runInContext,
  startSpan,
  startTracing,
  wantsTracing,
  withSpan,
} from '../src/index.js';

describe('wantsTracing()', () => {
  it.each([
    [false, {}],
    [true, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }],
    [true, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }],
    [false, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_SDK_DISABLED: 'true' }],
    [false, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_TRACES_EXPORTER: 'none' }],
  ])('is %s for %j', (wanted, env) => {
    expect(wantsTracing(env)).toBe(wanted);
  });
});

describe('without an endpoint', () => {
  it('records nothing and keeps the trace that came in', async () => {
    const tracing = await startTracing('test', {});
    expect(tracing.enabled).toBe(false);
    expect(isTracing()).toBe(false);
    const trace = newTrace();
    const inner = await runInContext({ trace }, () =>
      withSpan('model.load', {}, () => currentContext().trace),
    );
    expect(inner).toBe(trace);
    expect(startSpan('model.load').trace).toBeUndefined();
  });
});

describe('with an endpoint', () => {
  let collector: Server;
  /** Answers that are held back while the collector hangs. */
  let held: ServerResponse[] | undefined;
  const bodies: Buffer[] = [];
  const before = { ...process.env };

  beforeAll(async () => {
    const answer = (response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    collector = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(Buffer.concat(chunks));
        if (held) held.push(response);
        else answer(response);
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${port}`;
    process.env['OTEL_RESOURCE_ATTRIBUTES'] = 'deployment.environment.name=spec';
  });

  afterAll(() => {
    process.env = before;
  });

  it('exports spans with their parents, attributes and failures', async () => {
    const tracing = await startTracing('exported-service');
    expect(tracing.enabled).toBe(true);
    const remote = newTrace();
    const failing = runInContext({ trace: remote }, () =>
      withSpan(
        'step.attempt',
        { runId: 'run-42', attempt: 2 },
        async (span) => {
          expect(span.trace?.traceId).toBe(remote.traceId);
          expect(currentContext().trace?.spanId).toBe(span.trace?.spanId);
          span.set({ phase: 'cognate' });
          throw new Error('the attempt failed');
        },
        { kind: 'consumer', target: 'cognate' },
      ),
    );
    await expect(failing).rejects.toThrow('the attempt failed');
    const root = startSpan('run.plan', {}, { parent: null });
    expect(root.trace?.traceId).not.toBe(remote.traceId);
    root.end();
    await tracing.shutdown();
    expect(isTracing()).toBe(false);
    const sent = Buffer.concat(bodies);
    const texts = [
      'exported-service',
      'spec',
      'step.attempt cognate',
      'forge.run.id',
      'run-42',
      'the attempt failed',
    ];
    for (const text of texts) expect(sent.includes(text)).toBe(true);
    expect(sent.includes(Buffer.from(remote.traceId, 'hex'))).toBe(true);
    expect(sent.includes(Buffer.from(remote.spanId, 'hex'))).toBe(true);
  });

  it('makes no spans below one that is not recorded, but hands its place on', async () => {
    const tracing = await startTracing('spares');
    const trace = { ...newTrace(), sampled: false };
    const seen = await runInContext({ trace, runId: 'run-1' }, () =>
      withSpan('run.plan', {}, async (span) => {
        span.set({ attempt: 1 });
        span.fail(new Error('nobody hears it'));
        const inner = await withSpan('step.attempt', {}, () => currentContext());
        return { outer: span.trace, inner };
      }),
    );
    expect(seen).toEqual({ outer: trace, inner: { trace, runId: 'run-1' } });
    await tracing.shutdown();
    expect(Buffer.concat(bodies).includes(Buffer.from(trace.traceId, 'hex'))).toBe(false);
  });

  it('leaves it to a sampler that looks at each span by itself', async () => {
    process.env['OTEL_TRACES_SAMPLER'] = 'always_on';
    const tracing = await startTracing('by itself');
    const trace = { ...newTrace(), sampled: false };
    const span = startSpan('run.plan', {}, { parent: trace });
    expect(span.trace).toMatchObject({ traceId: trace.traceId, sampled: true });
    expect(span.trace?.spanId).not.toBe(trace.spanId);
    span.end();
    process.env['OTEL_TRACES_SAMPLER'] = 'traceidratio';
    process.env['OTEL_TRACES_SAMPLER_ARG'] = '0';
    const rare = await startTracing('rare');
    const dropped = startSpan('run.plan', {}, { parent: null });
    expect(dropped.trace?.sampled).toBe(false);
    dropped.end();
    delete process.env['OTEL_TRACES_SAMPLER'];
    delete process.env['OTEL_TRACES_SAMPLER_ARG'];
    await rare.shutdown();
    await tracing.shutdown();
    const sent = Buffer.concat(bodies);
    expect(sent.includes(Buffer.from(trace.traceId, 'hex'))).toBe(true);
    expect(sent.includes(Buffer.from(dropped.trace?.traceId ?? '', 'hex'))).toBe(false);
  });

  it('does not wait for a collector that hangs', async () => {
    held = [];
    const tracing = await startTracing('patient');
    startSpan('run.plan').end();
    await expect(tracing.shutdown()).resolves.toBeUndefined();
    expect(held).toHaveLength(1);
    // The exporter would try again for ten seconds, and keep the process of the tests alive.
    for (const response of held) response.writeHead(400).end();
    held = undefined;
  });

  it('shuts down also when the collector is gone', async () => {
    process.env['OTEL_EXPORTER_OTLP_TIMEOUT'] = '500';
    const tracing = await startTracing('lonely');
    startSpan('run.plan').end();
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
    await expect(tracing.shutdown()).resolves.toBeUndefined();
  });
});
