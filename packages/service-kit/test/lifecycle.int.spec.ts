import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';
import { Logger, Metrics, runInContext } from '@agentforge/telemetry';
import { Injectable, Module } from '@nestjs/common';
import {
  Clients,
  createClient,
  createService,
  Drain,
  GrpcService,
  InjectConfig,
  Readiness,
  type RunningService,
  type ServerConfig,
  UnservableError,
} from '../src/index.js';
import { EchoService } from './fixtures/echo_pb.js';
import { EchoController, echoModule, LogLines, Observed, settings, startEcho } from './fixtures/echo-app.js';

const running: RunningService[] = [];

async function start(...parameters: Parameters<typeof startEcho>) {
  const echo = await startEcho(...parameters);
  running.push(echo.service);
  return { ...echo, client: createClient(EchoService, echo.service.grpcAddress) };
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.drain('end of test')));
});

async function get(service: RunningService, path: string) {
  const response = await fetch(`http://${service.httpAddress}${path}`);
  return { status: response.status, text: await response.text() };
}

describe('start', () => {
  it('refuses a controller that lacks handlers and names them', async () => {
    @GrpcService(EchoService)
    class HalfController {
      async say() {
        return {};
      }
    }
    const error = await startEcho({}, HalfController).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UnservableError);
    expect(error.message).toContain('HalfController has no handler for');
    for (const name of ['Read', 'Watch', 'Collect', 'Chat']) {
      expect(error.message).toContain(`fixtures.echo.v1.EchoService/${name} (method ${name.toLowerCase()})`);
    }
    expect(error.message).not.toContain('/Say ');
  });

  it('refuses two controllers of one service', async () => {
    @GrpcService(EchoService)
    class OtherController extends EchoController {}
    const observed = new Observed();
    @Module({ imports: [echoModule(observed), echoModule(observed, OtherController)] })
    class TwiceModule {}
    const options = { name: 'twice', settings, env: {}, logDestination: new LogLines() };
    await expect(createService(TwiceModule, options)).rejects.toThrow(
      /EchoController and OtherController both serve fixtures\.echo\.v1\.EchoService/,
    );
  });

  it('gives config, logger, metrics, readiness, drain and clients to every provider', async () => {
    @Injectable()
    class Everything {
      constructor(
        @InjectConfig() readonly config: ServerConfig,
        readonly log: Logger,
        readonly metrics: Metrics,
        readonly readiness: Readiness,
        readonly drain: Drain,
        readonly clients: Clients,
      ) {}
    }
    @Module({ providers: [Everything] })
    class EmptyModule {}
    const options = { name: 'empty', settings, env: {}, logDestination: new LogLines() };
    const service = await createService(EmptyModule, options);
    running.push(service);
    const everything = service.get(Everything);
    expect(everything.config).toBe(service.config);
    expect(everything.log).toBeInstanceOf(Logger);
    expect(everything.metrics).toBeInstanceOf(Metrics);
    expect(everything.readiness.isReady()).toBe(true);
    expect(everything.drain).toBeInstanceOf(Drain);
    expect(everything.clients).toBeInstanceOf(Clients);
  });

  it('writes its addresses to a file, whole or not at all', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kit-'));
    const file = join(folder, 'deep', 'echo.json');
    const { service } = await start({ FORGE_ADDRESS_FILE: file });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      service: 'echo',
      grpc: service.grpcAddress,
      http: service.httpAddress,
      pid: process.pid,
    });
    await rm(folder, { recursive: true });
  });

  it('frees its ports when the start fails', async () => {
    const { service } = await start();
    const taken = service.grpcAddress.split(':')[1] ?? '';
    await expect(startEcho({ FORGE_GRPC_PORT: taken })).rejects.toThrow(
      /EADDRINUSE|already in use|No address/,
    );
    expect((await get(service, '/livez')).status).toBe(200);
  });
});

describe('operations port', () => {
  it('answers readiness with the conditions that fail', async () => {
    const { service } = await start();
    expect((await get(service, '/readyz')).status).toBe(200);
    service.get(Readiness).report('nats', false, 'connecting');
    const { status, text } = await get(service, '/readyz');
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({
      ready: false,
      checks: { nats: { isReady: false, reason: 'connecting' } },
    });
    expect((await get(service, '/unknown')).status).toBe(404);
  });

  it('says that the process is not alive while the event loop lags', async () => {
    const { service } = await start({ FORGE_MAX_EVENT_LOOP_LAG_MS: '150' });
    expect((await get(service, '/livez')).status).toBe(200);
    await sleep(50);
    const until = Date.now() + 400;
    while (Date.now() < until);
    await sleep(50);
    const { status, text } = await get(service, '/livez');
    expect(status).toBe(503);
    expect(JSON.parse(text).eventLoopLagMs).toBeGreaterThanOrEqual(150);
  });

  it('exposes rate, errors and duration of each RPC', async () => {
    const { service, client } = await start();
    await client.say({ text: 'a' });
    await client.say({ text: 'violations' }).catch(() => {});
    const { text } = await get(service, '/metrics');
    for (const code of ['OK', 'INVALID_ARGUMENT']) {
      const labels = `service="fixtures.echo.v1.EchoService",method="Say",code="${code}"`;
      expect(text).toMatch(new RegExp(`^forge_rpc_server_duration_seconds_count{.*${labels}.*} 1$`, 'm'));
    }
    expect(text).toContain('forge_service_ready{forge_service="echo"} 1');
    expect(text).toContain('process_cpu_seconds_total');
    client.close();
  });
});

describe('drain', () => {
  it('runs its phases in order and the last thing it does is close', async () => {
    const { service, client } = await start();
    const order: string[] = [];
    const drain = service.get(Drain);
    for (const phase of ['close', 'hand-back', 'finish', 'stop-pulling', 'not-ready'] as const) {
      drain.on(phase, 'test', () => {
        order.push(`${phase} ready=${service.get(Readiness).isReady()}`);
      });
    }
    const result = await service.drain('test');
    expect(order).toEqual(
      ['not-ready', 'stop-pulling', 'finish', 'hand-back', 'close'].map((phase) => `${phase} ready=false`),
    );
    expect(result.forced).toEqual([]);
    await expect(fetch(`http://${service.httpAddress}/livez`)).rejects.toThrow();
    client.close();
  });

  it('lets an open call finish', async () => {
    const { service, client, observed } = await start();
    const pending = client.say({ text: 'stubborn' });
    while (observed.calls.length === 0) await sleep(5);
    const result = await service.drain('test');
    await expect(pending).resolves.toMatchObject({});
    expect(result.forced).toEqual([]);
    client.close();
  });

  it('ends an open stream as UNAVAILABLE after its grace', async () => {
    const { service, client, observed } = await start({ FORGE_STREAM_GRACE_MS: '50' });
    const read = (async () => {
      for await (const _ of client.watch({ count: 1_000_000, mode: 'slow' }));
    })().catch((error) => error);
    while (observed.produced < 3) await sleep(5);
    const result = await service.drain('test');
    expect(await read).toMatchObject({ code: 'UNAVAILABLE', reason: 'DRAINING' });
    expect(result.forced).toEqual([]);
    expect(observed.ended).toBe('finally');
    client.close();
  });

  it('lets a stream that listens end itself', async () => {
    const { service, client, observed } = await start({ FORGE_STREAM_GRACE_MS: '5000' });
    let count = 0;
    const read = (async () => {
      for await (const _ of client.watch({ count: 1_000_000, mode: 'polite' })) count += 1;
    })();
    while (observed.produced < 3) await sleep(5);
    await service.drain('test');
    await read;
    expect(count).toBe(observed.produced);
    client.close();
  });

  it('cuts what does not end in time', async () => {
    const { service, client, observed, log } = await start({ FORGE_DRAIN_TIMEOUT_MS: '300' });
    const pending = client.say({ text: 'slow' }).catch((error) => error);
    while (observed.calls.length === 0) await sleep(5);
    service.get(Drain).on('hand-back', 'endless', () => new Promise(() => {}));
    const result = await service.drain('test');
    expect(await pending).toMatchObject({ code: 'UNAVAILABLE' });
    expect(observed.aborts).toEqual(['UNAVAILABLE']);
    expect(result.forced).toEqual(['hand-back']);
    expect(log.of('drain.forced').at(-1)).toMatchObject({ name: 'hand-back', operation: 'endless' });
    client.close();
  });

  it('is cut short by force()', async () => {
    const { service, client } = await start({ FORGE_DRAIN_TIMEOUT_MS: '60000' });
    service.get(Drain).on('finish', 'endless', () => new Promise(() => {}));
    const draining = service.drain('test');
    await sleep(50);
    service.force();
    expect((await draining).forced).toContain('finish');
    client.close();
  });
});

/** Says something from another address of this machine, which clients cannot choose. @returns the gRPC status */
async function sayFrom(localAddress: string, address: string): Promise<unknown> {
  const [host, port] = address.split(':');
  const session = http2.connect(`http://${address}`, {
    createConnection: () => net.connect({ host, port: Number(port), localAddress }),
  });
  try {
    const path = `/${EchoService.typeName}/${EchoService.method.say.name}`;
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request(headers);
    stream.end(Buffer.alloc(5));
    stream.resume();
    const [trailers] = await once(stream, 'trailers');
    return trailers['grpc-status'];
  } finally {
    session.close();
  }
}

describe('limits', () => {
  it('refuses calls above the limit with the time to wait, and serves again afterwards', async () => {
    const { service, client, observed } = await start({
      FORGE_MAX_CONCURRENT_CALLS: '1',
      FORGE_MAX_STREAMS: '1',
      FORGE_CLIENT_SHARE: '1',
    });
    const first = client.say({ text: 'stubborn' });
    while (observed.calls.length === 0) await sleep(5);
    const unary = await client.say({ text: 'b' }).catch((error) => error);
    expect(unary).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_CALLS', retryAfterMs: 500 });
    const watching = client.watch({ count: 1_000, mode: 'slow' })[Symbol.asyncIterator]();
    await watching.next();
    const stream = await (async () => {
      for await (const _ of client.watch({ count: 3 }));
    })().catch((error) => error);
    await watching.return?.();
    expect(stream).toBeInstanceOf(AppError);
    expect(stream).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_CALLS' });
    await first;
    expect((await client.say({ text: 'b' })).text).toBe('b');
    expect((await get(service, '/metrics')).text).toContain(
      'forge_rpc_server_refused_total{reason="concurrency"',
    );
    client.close();
  });

  it('refuses a client that floods, tells it when to come again, and serves others as before', async () => {
    const { service, client } = await start({
      FORGE_CLIENT_CALLS_PER_SECOND: '20',
      FORGE_MAX_CONCURRENT_CALLS: '20',
    });
    const as = <T>(tenant: string, call: () => Promise<T>) => runInContext({ tenant }, call);
    const outcomes = { served: 0, refused: 0, retryAfterMs: 0 };
    let isFlooding = true;
    const flood = async (): Promise<void> => {
      while (isFlooding) {
        await as('flood', () => client.say({ text: 'x' })).then(
          () => outcomes.served++,
          (error: AppError) => {
            expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'CLIENT_LIMIT' });
            outcomes.refused++;
            outcomes.retryAfterMs = Math.max(outcomes.retryAfterMs, error.retryAfterMs ?? 0);
          },
        );
        // Answers come through the same event loop: a flood of one process must leave room for them.
        await sleep(1);
      }
    };
    const beganAt = performance.now();
    const floods = Array.from({ length: 10 }, flood);
    while (outcomes.refused === 0) await sleep(5);
    const waits: number[] = [];
    for (let i = 0; i < 40; i++) {
      const startedAt = performance.now();
      await as('quiet', () => client.say({ text: 'q' }));
      waits.push(performance.now() - startedAt);
      await sleep(10);
    }
    isFlooding = false;
    await Promise.all(floods);
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(outcomes.served).toBeLessThanOrEqual(40 + (20 * (performance.now() - beganAt)) / 1_000 + 1);
    expect(outcomes.retryAfterMs).toBeGreaterThan(0);
    expect(waits.sort((a, b) => a - b)[38]).toBeLessThan(2_000);
    expect((await get(service, '/metrics')).text).toContain('forge_rpc_server_refused_total{reason="rate"');
    client.close();
  }, 60_000);

  it('refuses an address that claims to be ever new tenants, and serves another one', async () => {
    const { service } = await startEcho({
      FORGE_CLIENT_CALLS_PER_SECOND: '20',
      FORGE_CLIENTS_PER_ADDRESS: '2',
    });
    running.push(service);
    const client = createClient(EchoService, service.grpcAddress, { retries: { attempts: 1 } });
    const refused: AppError[] = [];
    const beganAt = performance.now();
    for (let i = 0; i < 1_000; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, k) =>
          runInContext({ tenant: `t${i + k}` }, () => client.say({ text: 'x' })).catch((error: AppError) =>
            refused.push(error),
          ),
        ),
      );
    const seconds = (performance.now() - beganAt) / 1_000;
    // Its burst is what two clients may do in two seconds.
    expect(1_000 - refused.length).toBeGreaterThanOrEqual(80);
    expect(1_000 - refused.length).toBeLessThanOrEqual(80 + 40 * seconds + 1);
    for (const { code, reason, message, retryAfterMs } of refused) {
      expect({ code, reason }).toEqual({ code: 'RESOURCE_EXHAUSTED', reason: 'CLIENT_LIMIT' });
      expect(message).toContain('the clients of this address make more than 40 calls per second');
      expect(retryAfterMs).toBeGreaterThan(0);
    }
    expect(await sayFrom('127.0.0.2', service.grpcAddress)).toBe('0');
    client.close();
  }, 60_000);

  it('leaves places to others when one client holds its share, of streams and of other calls apart', async () => {
    const { client } = await start({
      FORGE_MAX_CONCURRENT_CALLS: '4',
      FORGE_MAX_STREAMS: '4',
      FORGE_CLIENT_SHARE: '0.5',
    });
    const as = <T>(tenant: string, call: () => T) => runInContext({ tenant }, call);
    const watch = async (tenant: string) => {
      const updates = as(tenant, () => client.watch({ count: 1_000, mode: 'slow' }))[Symbol.asyncIterator]();
      await as(tenant, () => updates.next());
      return updates;
    };
    const held = [await watch('many'), await watch('many')];
    await expect(watch('many')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'CLIENT_LIMIT' });
    held.push(await watch('few'));
    expect((await as('many', () => client.say({ text: 'short' }))).text).toBe('short');
    for (const updates of held) await updates.return?.();
    client.close();
  });

  it('refuses to send a response above the limit', async () => {
    const { client } = await start({ FORGE_MAX_MESSAGE_BYTES: '64KiB' });
    const read = (async () => {
      for await (const _ of client.watch({ count: 1, sizeBytes: 128 * 1024 }));
    })();
    await expect(read).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    client.close();
  });
});
