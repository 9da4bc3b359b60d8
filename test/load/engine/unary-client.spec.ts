import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { framed, UnaryClient } from './unary-client.mjs';

const PATH = '/test.Echo/Call';
const asIs = (bytes: Buffer) => bytes;

type Handler = (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => void;

/** A server of another make. */
async function serve(handler: Handler, port = 0): Promise<{ server: Server; address: string; port: number }> {
  const server = new Server();
  const method = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService({ call: method }, { call: handler });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error ? reject(error) : resolve(at),
    );
  });
  return { server, address: `127.0.0.1:${bound}`, port: bound };
}

const clientOf = (server: string) =>
  new UnaryClient({ server, path: PATH, tenant: 'bench', tenantHeader: 'x-tenant', deadlineMs: 5_000 });

describe('UnaryClient', () => {
  it('sends the message, the deadline and who asks, over its connections in turn', async () => {
    const seen: { body: string; tenant: unknown; deadlineMs: number; peer: string }[] = [];
    const { server, address } = await serve((call, answer) => {
      const deadlineMs = Number(call.getDeadline()) - Date.now();
      const [tenant] = call.metadata.get('x-tenant');
      seen.push({ body: call.request.toString(), tenant, deadlineMs, peer: call.getPeer() });
      answer(null, Buffer.alloc(100_000));
    });
    const client = clientOf(address);
    await client.open(2);
    for (const body of ['one', 'two', 'three']) await client.call(framed(Buffer.from(body)));
    expect(seen.map(({ body, tenant }) => [body, tenant])).toEqual([
      ['one', 'bench'],
      ['two', 'bench'],
      ['three', 'bench'],
    ]);
    for (const { deadlineMs } of seen) expect(deadlineMs).toBeGreaterThan(0);
    for (const { deadlineMs } of seen) expect(deadlineMs).toBeLessThanOrEqual(5_000);
    expect(seen[0]?.peer).toBe(seen[2]?.peer);
    expect(seen[0]?.peer).not.toBe(seen[1]?.peer);
    client.close();
    server.forceShutdown();
  });

  it.each([
    [status.RESOURCE_EXHAUSTED, 'RESOURCE_EXHAUSTED'],
    [status.UNAVAILABLE, 'UNAVAILABLE'],
    [status.NOT_FOUND, 'code 5'],
  ])('names the code of a refusal: %i', async (code, name) => {
    const { server, address } = await serve((_, answer) => answer({ code }));
    const client = clientOf(address);
    await client.open(1);
    await expect(client.call(framed(Buffer.from('x')))).rejects.toMatchObject({ code: name });
    client.close();
    server.forceShutdown();
  });

  it('fails calls while the server is gone, and connects again when it is back', async () => {
    const ok: Handler = (_, answer) => answer(null, Buffer.from('y'));
    const first = await serve(ok);
    const client = clientOf(first.address);
    await client.open(1);
    const call = () => client.call(framed(Buffer.from('x')));
    await call();
    const { server } = first;
    server.forceShutdown();
    while (
      await call().then(
        () => true,
        ({ code }) => code !== 'UNAVAILABLE',
      )
    )
      await sleep(5);
    await sleep(200);
    const second = await serve(ok, first.port);
    const isBack = () =>
      call().then(
        () => true,
        () => false,
      );
    while (!(await isBack())) await sleep(20);
    client.close();
    second.server.forceShutdown();
  });
});
