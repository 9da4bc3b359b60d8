import { isSecretKey, loggable, redactText } from './redaction.js';

describe('isSecretKey()', () => {
  it.each([
    'password',
    'clientSecret',
    'Authorization',
    'api_key',
    'accessToken',
    'token',
    'set-cookie',
    'privateKey',
  ])('hides %s', (key) => expect(isSecretKey(key)).toBe(true));

  it.each(['tokens', 'tokensPerSecond', 'tokenizer', 'fencing', 'runId', 'key'])('shows %s', (key) =>
    expect(isSecretKey(key)).toBe(false),
  );
});

describe('redactText()', () => {
  it('removes credentials from URLs, headers and web tokens', () => {
    expect(redactText('connect nats://user:hunter2@nats:4222 failed')).toBe(
      'connect nats://[hidden]@nats:4222 failed',
    );
    expect(redactText('sent Bearer abcdef0123456789')).toBe('sent [hidden]');
    expect(redactText('jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln')).toBe('jwt [hidden]');
  });

  it('leaves ordinary text alone and cuts very long text', () => {
    expect(redactText('3 of 8 steps at http://127.0.0.1:80/x')).toBe('3 of 8 steps at http://127.0.0.1:80/x');
    expect(redactText('x'.repeat(10_000))).toHaveLength(4096 + '… (10000 characters)'.length);
  });
});

describe('loggable()', () => {
  it('never shows bytes, tensors or secrets', () => {
    const value = { body: new Uint8Array(9), loss: new Float32Array(4), nested: { password: 'hunter2' } };
    expect(loggable(value)).toEqual({
      body: '[9 bytes]',
      loss: '[16 bytes]',
      nested: { password: '[hidden]' },
    });
  });

  it('ends cycles and cuts long lists', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(JSON.stringify(loggable(cycle))).toContain('[object]');
    expect(loggable(Array.from({ length: 100 }, () => 1))).toHaveLength(33);
  });

  it('shows what JSON cannot carry', () => {
    const when = new Date(0);
    expect(
      loggable({ a: Number.NaN, b: when, c: new Map([['k', 1n]]), d: new Set([1]), e: () => 1 }),
    ).toEqual({
      a: 'NaN',
      b: when.toISOString(),
      c: { k: '1' },
      d: [1],
      e: '[function]',
    });
  });
});
