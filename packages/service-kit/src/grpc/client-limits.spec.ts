import { type Caller, ClientLimits, callerOf } from './client-limits.js';

const POLICY = { callsPerSecond: 10, burst: 5, share: 0.5, clientsPerAddress: 4 };

/** A client at an address of its own. */
const alone = (address: string): Caller => ({ address, client: address });
const tenant = (address: string, name: string | number): Caller => ({
  address,
  client: `${address} ${name}`,
});

describe('ClientLimits', () => {
  it('gives each client a burst, then its rate, and says when to come again', () => {
    const limits = new ClientLimits(POLICY);
    const call = (client: string, nowMs: number) => {
      const refusal = limits.take(alone(client), 100, nowMs);
      if (!refusal) limits.release(alone(client));
      return refusal;
    };
    for (let i = 0; i < 5; i++) expect(call('flood', 0)).toBeUndefined();
    expect(call('flood', 0)).toEqual({ who: 'client', reason: 'rate', retryAfterMs: 100 });
    expect(call('quiet', 0)).toBeUndefined();
    expect(call('flood', 60)).toEqual({ who: 'client', reason: 'rate', retryAfterMs: 40 });
    expect(call('flood', 100)).toBeUndefined();
    for (let i = 0; i < 5; i++) expect(call('flood', 10_000)).toBeUndefined();
    expect(call('flood', 10_000)).toBeDefined();
  });

  it('serves a flood at its rate and no faster, whatever it sends', () => {
    const limits = new ClientLimits(POLICY);
    let served = 0;
    for (let ms = 0; ms < 10_000; ms++)
      if (!limits.take(alone('flood'), 100, ms)) {
        served++;
        limits.release(alone('flood'));
      }
    expect(served).toBeGreaterThanOrEqual(104);
    expect(served).toBeLessThanOrEqual(105);
  });

  it('leaves places to others, and gives them back', () => {
    const limits = new ClientLimits({ ...POLICY, burst: 100 });
    expect([1, 2, 3].map(() => limits.take(alone('flood'), 4, 0)?.reason)).toEqual([
      undefined,
      undefined,
      'share',
    ]);
    expect(limits.take(alone('quiet'), 4, 0)).toBeUndefined();
    limits.release(alone('flood'));
    expect(limits.take(alone('flood'), 4, 0)).toBeUndefined();
    expect(limits.take(alone('alone'), 1, 0)).toBeUndefined();
  });

  it('refuses an address whose calls claim to be of ever new tenants, and serves other addresses', () => {
    const limits = new ClientLimits(POLICY);
    let served = 0;
    for (let i = 0; i < 1_000; i++) {
      const caller = tenant('flood', i);
      const refusal = limits.take(caller, 100, i);
      if (refusal) expect(refusal).toMatchObject({ who: 'address', reason: 'rate' });
      else {
        served++;
        limits.release(caller);
      }
      if (i % 200 === 0) {
        expect(limits.take(alone('quiet'), 100, i)).toBeUndefined();
        limits.release(alone('quiet'));
      }
    }
    // Four times the burst of one client, and four times its rate for a second.
    expect(served).toBeGreaterThanOrEqual(59);
    expect(served).toBeLessThanOrEqual(60);
    // What is refused for its address makes no bucket of its own.
    expect(limits.size).toBeLessThan(2 * served);
  });

  it('leaves places to other addresses, however many tenants one has', () => {
    const open = (share: number, clientsPerAddress: number, places: number) => {
      const limits = new ClientLimits({ ...POLICY, burst: 1_000, share, clientsPerAddress });
      let held = 0;
      while (held < places && !limits.take(tenant('many', held), places, 0)) held++;
      const refusal = limits.take(tenant('many', 'next'), places, 0);
      const other = limits.take(alone('other'), places, 0);
      return {
        held,
        reason: refusal && `${refusal.who} ${refusal.reason}`,
        isOtherServed: other === undefined,
      };
    };
    const full = { reason: 'address share', isOtherServed: true };
    expect(open(0.75, 4, 1_000)).toEqual({ held: 875, ...full });
    expect(open(0.1, 4, 100)).toEqual({ held: 40, ...full });
    expect(open(0.1, 1, 100)).toEqual({ held: 10, ...full });
    // Never less than one client may have, also of few places.
    expect(open(0.75, 4, 2)).toMatchObject({ held: 2 });
    // Whoever gives one client everything keeps nothing back.
    expect(open(1, 4, 10)).toMatchObject({ held: 10 });
  });

  it('takes nothing from an address for calls of a tenant that is refused, and gives its places back', () => {
    const limits = new ClientLimits(POLICY);
    for (let i = 0; i < 1_000; i++) {
      const caller = tenant('a', 'flood');
      if (!limits.take(caller, 100, 0)) limits.release(caller);
    }
    for (let i = 0; i < 15; i++) {
      const caller = tenant('a', i);
      expect(limits.take(caller, 4, 0)).toBeUndefined();
      limits.release(caller);
    }
    expect(limits.take(tenant('a', 'last'), 4, 0)).toMatchObject({ who: 'address', reason: 'rate' });
  });

  it('remembers a bounded number of clients, those with open calls among them', () => {
    const limits = new ClientLimits(POLICY);
    limits.take(alone('busy'), 100, 0);
    for (let i = 0; i < 20_000; i++) {
      limits.take(alone(`c${i}`), 100, i);
      limits.release(alone(`c${i}`));
    }
    // As many clients, and as many addresses.
    expect(limits.size).toBe(20_000);
    for (let i = 0; i < 4; i++) limits.take(alone('busy'), 8, 0);
    expect(limits.take(alone('busy'), 8, 0)).toBeDefined();
  });
});

describe('callerOf()', () => {
  it('is the address without the port, and the tenant', () => {
    expect(callerOf('127.0.0.1:4711', undefined)).toEqual(alone('127.0.0.1'));
    expect(callerOf('[::1]:4711', 'acme')).toEqual(tenant('[::1]', 'acme'));
    expect(callerOf('unknown', undefined)).toEqual(alone('unknown'));
  });
});
