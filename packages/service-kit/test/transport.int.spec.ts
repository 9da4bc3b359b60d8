import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';
import { runInContext } from '@agentforge/telemetry';
import { type Client, createClient, type RunningService } from '../src/index.js';
import { EchoService } from './fixtures/echo_pb.js';
import { type LogLines, type Observed, startEcho } from './fixtures/echo-app.js';

let service: RunningService;
let observed: Observed;
let log: LogLines;
let client: Client<typeof EchoService>;

beforeEach(async () => {
  ({ service, observed, log } = await startEcho());
  client = createClient(EchoService, service.grpcAddress);
});

afterEach(async () => {
  client.close();
  await service.drain('end of test');
});

async function* texts(...items: string[]) {
  for (const text of items) yield { text };
}

async function errorOf(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

async function untilTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

describe('the four kinds of calls', () => {
  it('answers a unary call', async () => {
    expect((await client.say({ text: 'hello' })).text).toBe('hello');
  });

  it('streams responses in order', async () => {
    const indexes: number[] = [];
    for await (const { index } of client.watch({ count: 100 })) indexes.push(index);
    expect(indexes).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('collects a stream of requests', async () => {
    const reply = await client.collect(texts('a', 'b', 'c'));
    expect(reply).toMatchObject({ text: 'a b c', count: 3 });
  });

  it('answers while requests still come in', async () => {
    const replies: string[] = [];
    let release = () => {};
    async function* requests() {
      yield { text: 'first' };
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield { text: 'second' };
    }
    for await (const { text } of client.chat(requests())) {
      replies.push(text);
      release();
    }
    expect(replies).toEqual(['FIRST', 'SECOND']);
  });
});

describe('back-pressure', () => {
  it('does not run the generator ahead of a slow reader', async () => {
    const sizeBytes = 64 * 1024;
    const count = 2000;
    const stream = client.watch({ count, sizeBytes })[Symbol.asyncIterator]();
    await stream.next();
    await sleep(300);
    const ahead = observed.produced;
    // The buffers of both ends and of HTTP/2 hold some dozen messages of 64 KiB, never the whole stream.
    expect(ahead).toBeLessThan(100);
    await sleep(200);
    expect(observed.produced).toBe(ahead);
    let read = 1;
    while (!(await stream.next()).done) read += 1;
    expect(read).toBe(count);
    expect(observed.produced).toBe(count);
  });
});

describe('deadline and cancellation', () => {
  it('ends a call at its deadline on both sides', async () => {
    const error = await errorOf(client.say({ text: 'slow' }, { deadlineMs: 100 }));
    expect(error.code).toBe('DEADLINE_EXCEEDED');
    await untilTrue(() => observed.aborts.length > 0);
    expect(observed.aborts).toEqual(['DEADLINE_EXCEEDED']);
  });

  it('cancels a unary call with a signal', async () => {
    const abort = new AbortController();
    const pending = errorOf(client.say({ text: 'slow' }, { signal: abort.signal }));
    await untilTrue(() => observed.calls.length > 0);
    abort.abort();
    expect((await pending).code).toBe('CANCELLED');
    await untilTrue(() => observed.aborts.length > 0);
    expect(observed.aborts).toEqual(['CANCELLED']);
  });

  it('stops the generator when the reader leaves in the middle of a stream', async () => {
    for await (const { index } of client.watch({ count: 1_000_000, mode: 'slow' })) if (index === 3) break;
    await untilTrue(() => observed.ended === 'finally');
    expect(observed.aborts).toEqual(['CANCELLED']);
    expect(observed.produced).toBeLessThan(20);
  });

  it('does not abort the signal of a call that ended well', async () => {
    await client.say({ text: 'fine' });
    await sleep(50);
    expect(observed.aborts).toEqual([]);
  });
});

describe('errors', () => {
  it('carries reason, metadata and violated fields', async () => {
    const error = await errorOf(client.say({ text: 'violations' }));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'two fields are wrong',
      reason: 'BAD_SPEC',
      metadata: { spec: 's1' },
      fieldViolations: [
        { field: 'steps[0].kind', description: 'unknown kind' },
        { field: 'steps[1].config.lr', description: '-1 is not > 0' },
      ],
    });
  });

  it('carries failed preconditions and the time to wait', async () => {
    expect(await errorOf(client.say({ text: 'precondition' }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'RUN_ENDED',
      fieldViolations: [{ field: 'state', description: 'is succeeded' }],
    });
    expect(await errorOf(client.say({ text: 'unavailable' }))).toMatchObject({
      code: 'UNAVAILABLE',
      retryAfterMs: 1500,
    });
  });

  it('hides an unexpected error and logs it under the id that the caller gets', async () => {
    const error = await errorOf(client.say({ text: 'bug' }));
    expect(error.code).toBe('INTERNAL');
    expect(error.message).not.toContain('secret detail');
    const { errorId } = error.metadata;
    expect(errorId).toMatch(/^[0-9a-f-]{36}$/);
    const [line] = log.of('rpc.failed');
    expect(line).toMatchObject({ errorId, error: { message: 'secret detail of the implementation' } });
  });

  it('delivers what came before an error in the middle of a stream', async () => {
    const seen: number[] = [];
    const read = async () => {
      for await (const { index } of client.watch({ count: 9, mode: 'fail' })) seen.push(index);
    };
    expect((await errorOf(read())).code).toBe('DATA_LOSS');
    expect(seen).toEqual([0, 1]);
  });

  it('refuses a message above the limit and stays up', async () => {
    const error = await errorOf(createLargeClient().say({ text: 'x'.repeat(5 * 2 ** 20) }));
    expect(error.code).toBe('RESOURCE_EXHAUSTED');
    expect((await client.say({ text: 'still here' })).text).toBe('still here');
  });

  function createLargeClient() {
    client.close();
    client = createClient(EchoService, service.grpcAddress, { maxMessageBytes: 16 * 2 ** 20 });
    return client;
  }
});

describe('context', () => {
  it('takes request id, tenant and trace from the caller and returns the request id', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const context = {
      requestId: 'r-1',
      tenant: 'acme',
      trace: { traceId, spanId: 'b7ad6b7169203331', sampled: true },
    };
    let returned: string | undefined;
    const onHeader = (header: (name: string) => string | undefined) => {
      returned = header('x-request-id');
    };
    const { seen } = await runInContext(context, () => client.say({ text: 'x' }, { onHeader }));
    expect(seen).toMatchObject({ requestId: 'r-1', tenant: 'acme', traceId, hasDeadline: 'true' });
    expect(Number(seen['remainingMs'])).toBeLessThanOrEqual(10_000);
    expect(returned).toBe('r-1');
    expect(log.of('rpc.finished')[0]).toMatchObject({ requestId: 'r-1', tenant: 'acme', traceId });
  });

  it('makes a request id when the caller has none', async () => {
    const { seen } = await client.say({ text: 'x' });
    expect(seen['requestId']).toMatch(/^[0-9a-f-]{36}$/);
  });
});
