import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { runInContext, startTracing } from '@agentforge/telemetry';
import { createClient, GrpcService, type RunningService } from '../src/index.js';
import { EchoService, type SayRequest } from './fixtures/echo_pb.js';
import { EchoController, Observed, startEcho } from './fixtures/echo-app.js';

let back: RunningService;
let front: RunningService;
let atBack: Observed;

/** Passes every Say on to the service behind it. */
@GrpcService(EchoService)
class RelayController extends EchoController {
  constructor(observed: Observed) {
    super(observed);
  }

  override async say(request: SayRequest) {
    const behind = createClient(EchoService, back.grpcAddress);
    try {
      const { text, seen } = await behind.say({ text: request.text });
      return { text, seen };
    } finally {
      behind.close();
    }
  }
}

beforeEach(async () => {
  ({ service: back, observed: atBack } = await startEcho());
  ({ service: front } = await startEcho({}, RelayController));
});

afterEach(async () => {
  await Promise.all([front.drain('end of test'), back.drain('end of test')]);
});

describe('through a service that calls another one', () => {
  it('request id, tenant and trace go on, and the deadline is the shorter one', async () => {
    const client = createClient(EchoService, front.grpcAddress);
    const context = { requestId: 'r-7', tenant: 'acme' };
    const { seen } = await runInContext(context, () => client.say({ text: 'x' }, { deadlineMs: 3000 }));
    expect(seen).toMatchObject({ requestId: 'r-7', tenant: 'acme' });
    expect(seen['traceId']).toMatch(/^[0-9a-f]{32}$/);
    expect(Number(seen['remainingMs'])).toBeLessThanOrEqual(3000);
    client.close();
  });

  it('a cancellation reaches the last one', async () => {
    const client = createClient(EchoService, front.grpcAddress);
    const abort = new AbortController();
    const pending = client.say({ text: 'slow' }, { signal: abort.signal }).catch((error) => error);
    while (atBack.calls.length === 0) await sleep(5);
    abort.abort();
    expect(await pending).toMatchObject({ code: 'CANCELLED' });
    while (atBack.aborts.length === 0) await sleep(5);
    expect(atBack.aborts).toEqual(['CANCELLED']);
    client.close();
  });

  it('an error keeps its code and details on the whole way', async () => {
    const client = createClient(EchoService, front.grpcAddress);
    await expect(client.say({ text: 'violations' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'BAD_SPEC',
      fieldViolations: [{ field: 'steps[0].kind' }, { field: 'steps[1].config.lr' }],
    });
    client.close();
  });
});

describe('spans', () => {
  it('are exported for both ends of each RPC, in one trace', async () => {
    const bodies: Buffer[] = [];
    const collector = createServer((request, response) => {
      request.on('data', (chunk: Buffer) => bodies.push(chunk));
      request.on('end', () => response.writeHead(200).end());
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = endpoint;
    const tracing = await startTracing('echo');
    const client = createClient(EchoService, front.grpcAddress);
    const { seen } = await client.say({ text: 'traced' });
    client.close();
    await tracing.shutdown();
    delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
    collector.closeAllConnections();
    collector.close();
    const sent = Buffer.concat(bodies);
    const count = (part: Buffer | string) =>
      sent.toString('latin1').split(Buffer.from(part).toString('latin1')).length - 1;
    expect(count('rpc.client fixtures.echo.v1.EchoService/Say')).toBe(2);
    expect(count('rpc.server fixtures.echo.v1.EchoService/Say')).toBe(2);
    expect(count(Buffer.from(seen['traceId'] ?? '', 'hex'))).toBe(4);
  });
});
