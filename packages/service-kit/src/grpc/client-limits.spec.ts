import { ClientLimits, clientOf } from './client-limits.js';

const POLICY = { callsPerSecond: 10, burst: 5, share: 0.5 };

describe('ClientLimits', () => {
  it('gives each client a burst, then its rate, and says when to come again', () => {
    const limits = new ClientLimits(POLICY);
    const call = (client: string, nowMs: number) => {
      const refusal = limits.take(client, 100, nowMs);
      if (!refusal) limits.release(client);
      return refusal;
    };
    for (let i = 0; i < 5; i++) expect(call('flood', 0)).toBeUndefined();
    expect(call('flood', 0)).toEqual({ reason: 'rate', retryAfterMs: 100 });
    expect(call('quiet', 0)).toBeUndefined();
    expect(call('flood', 60)).toEqual({ reason: 'rate', retryAfterMs: 40 });
    expect(call('flood', 100)).toBeUndefined();
    for (let i = 0; i < 5; i++) expect(call('flood', 10_000)).toBeUndefined();
    expect(call('flood', 10_000)).toBeDefined();
  });

  it('serves a flood at its rate and no faster, whatever it sends', () => {
    const limits = new ClientLimits(POLICY);
    let served = 0;
    for (let ms = 0; ms < 10_000; ms++)
      if (!limits.take('flood', 100, ms)) {
        served++;
        limits.release('flood');
      }
    expect(served).toBeGreaterThanOrEqual(104);
    expect(served).toBeLessThanOrEqual(105);
  });

  it('leaves places to others, and gives them back', () => {
    const limits = new ClientLimits({ ...POLICY, burst: 100 });
    expect([1, 2, 3].map(() => limits.take('flood', 4, 0)?.reason)).toEqual([undefined, undefined, 'share']);
    expect(limits.take('quiet', 4, 0)).toBeUndefined();
    limits.release('flood');
    expect(limits.take('flood', 4, 0)).toBeUndefined();
    expect(limits.take('alone', 1, 0)).toBeUndefined();
  });

  it('remembers a bounded number of clients, those with open calls among them', () => {
    const limits = new ClientLimits(POLICY);
    limits.take('busy', 100, 0);
    for (let i = 0; i < 20_000; i++) {
      limits.take(`c${i}`, 100, i);
      limits.release(`c${i}`);
    }
    expect(limits.size).toBe(10_000);
    for (let i = 0; i < 4; i++) limits.take('busy', 8, 0);
    expect(limits.take('busy', 8, 0)).toBeDefined();
  });
});

describe('clientOf()', () => {
  it('is the address without the port, and the tenant', () => {
    expect(clientOf('127.0.0.1:4711', undefined)).toBe('127.0.0.1');
    expect(clientOf('[::1]:4711', 'acme')).toBe('[::1] acme');
    expect(clientOf('unknown', undefined)).toBe('unknown');
  });
});
