import { constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type RunningService } from '../src/index.js';
import { EchoService } from './fixtures/echo_pb.js';
import { startEcho } from './fixtures/echo-app.js';

const running: RunningService[] = [];

async function start() {
  const echo = await startEcho();
  running.push(echo.service);
  return echo;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.drain('end of test')));
});

const retries = { attempts: 3, initialBackoffMs: 5, maxBackoffMs: 10 };

describe('retries', () => {
  it('repeats an idempotent call after UNAVAILABLE', async () => {
    const { service, observed } = await start();
    observed.failures = 2;
    const client = createClient(EchoService, service.grpcAddress, { retries });
    expect((await client.read({ text: 'a' })).text).toBe('a');
    expect(observed.calls).toEqual(['read', 'read', 'read']);
    client.close();
  });

  it('gives up after the last try', async () => {
    const { service, observed } = await start();
    observed.failures = 9;
    const client = createClient(EchoService, service.grpcAddress, { retries });
    await expect(client.read({ text: 'a' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(observed.calls).toHaveLength(3);
    client.close();
  });

  it('never repeats a call that is not declared idempotent', async () => {
    const { service, observed } = await start();
    const client = createClient(EchoService, service.grpcAddress, { retries });
    await expect(client.say({ text: 'unavailable' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(observed.calls).toEqual(['say']);
    client.close();
  });

  it('never repeats after another error', async () => {
    const { service, observed } = await start();
    const client = createClient(EchoService, service.grpcAddress, { retries });
    const read = async () => {
      for await (const _ of client.watch({ count: 5, mode: 'fail' }));
    };
    await expect(read()).rejects.toMatchObject({ code: 'DATA_LOSS' });
    expect(observed.calls).toEqual(['watch']);
    client.close();
  });

  it('finds a server that starts only after the call', async () => {
    const { service: first } = await start();
    const address = first.grpcAddress;
    await first.drain('restart');
    const client = createClient(EchoService, address, { waitForReady: true });
    const pending = client.say({ text: 'late' });
    await sleep(50);
    const late = await startEcho({ FORGE_GRPC_PORT: address.split(':')[1] ?? '' });
    running.push(late.service);
    expect((await pending).text).toBe('late');
    client.close();
  });
});

describe('addresses', () => {
  it('uses several servers in turn', async () => {
    const [one, two] = [await start(), await start()];
    const client = createClient(EchoService, [one.service.grpcAddress, two.service.grpcAddress]);
    await client.ready(2000);
    while (two.observed.calls.length === 0 || one.observed.calls.length === 0)
      await client.say({ text: 'warm' });
    const before = [one.observed.calls.length, two.observed.calls.length];
    for (let call = 0; call < 10; call += 1) await client.say({ text: 'a' });
    expect(one.observed.calls.length - (before[0] ?? 0)).toBe(5);
    expect(two.observed.calls.length - (before[1] ?? 0)).toBe(5);
    client.close();
  });

  it('says where nothing answers', async () => {
    const { service } = await start();
    await service.drain('gone');
    const client = createClient(EchoService, service.grpcAddress);
    await expect(client.ready(200)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(service.grpcAddress),
    });
    await expect(client.say({ text: 'a' }, { deadlineMs: 500 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    client.close();
  });
});

describe('requests', () => {
  it('passes on what the stream of requests throws', async () => {
    const { service } = await start();
    const client = createClient(EchoService, service.grpcAddress);
    async function* broken() {
      yield { text: 'a' };
      throw new RangeError('the source is broken');
    }
    await expect(client.collect(broken())).rejects.toThrow('the source is broken');
    const chat = async () => {
      for await (const _ of client.chat(broken()));
    };
    await expect(chat()).rejects.toThrow('the source is broken');
    client.close();
  });

  it('does not start a call that is cancelled already', async () => {
    const { service, observed } = await start();
    const client = createClient(EchoService, service.grpcAddress);
    await expect(client.say({ text: 'a' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(observed.calls).toEqual([]);
    client.close();
  });
});

describe('a connection that the server ends because of an error', () => {
  it('is a lost one, and what may be repeated is', async () => {
    // What nghttp2 does with a client that cancels too many calls.
    const server = createServer();
    let calls = 0;
    server.on('stream', (stream) => {
      calls++;
      stream.on('error', () => {});
      stream.session?.goaway(constants.NGHTTP2_INTERNAL_ERROR);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const client = createClient(EchoService, `127.0.0.1:${port}`, { retries });
    await expect(client.say({ text: 'a' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(calls).toBe(1);
    await expect(client.read({ text: 'a' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(calls).toBe(4);
    client.close();
    server.close();
  });
});
