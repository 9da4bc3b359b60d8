import fc from 'fast-check';
import { EngineClock, MAX_STEP_MS } from './engine-clock.js';

const HOUR_MS = 3_600_000;

function skewed(wallMs: number) {
  const machine = { wallMs, monotonicMs: 50 };
  const clock = new EngineClock(
    () => machine.monotonicMs,
    () => machine.wallMs,
  );
  return { machine, clock };
}

describe('EngineClock', () => {
  it('is the server’s, whatever the clock of the machine says or is set to', () => {
    const { machine, clock } = skewed(HOUR_MS);
    expect(clock.nowMs()).toBe(HOUR_MS);
    clock.take({ serverMs: 1_000, atMs: 50, uncertaintyMs: 2 });
    expect(clock.nowMs()).toBe(1_000);
    expect(clock.skewMs).toBe(HOUR_MS - 1_000);
    machine.wallMs += 10 * HOUR_MS;
    machine.monotonicMs += 250;
    expect(clock.nowMs()).toBe(1_250);
  });

  it('agrees between replicas however far their machines are apart', () => {
    const times = [-HOUR_MS, 0, HOUR_MS].map((skewMs) => {
      const { clock } = skewed(10 * HOUR_MS + skewMs);
      clock.take({ serverMs: 5_000, atMs: 50, uncertaintyMs: 1 });
      return clock.nowMs();
    });
    expect(new Set(times)).toEqual(new Set([5_000]));
  });

  it('follows a server whose clock jumps in small steps, and ignores what is within the uncertainty', () => {
    const { clock } = skewed(0);
    clock.take({ serverMs: 1_000, atMs: 50, uncertaintyMs: 0 });
    clock.take({ serverMs: 1_000 + HOUR_MS, atMs: 50, uncertaintyMs: 0 });
    expect(clock.nowMs()).toBe(1_000 + MAX_STEP_MS);
    clock.take({ serverMs: 1_000 + MAX_STEP_MS + 3, atMs: 50, uncertaintyMs: 4 });
    expect(clock.nowMs()).toBe(1_000 + MAX_STEP_MS);
  });

  it('never goes backwards once it was set', () => {
    const readings = fc.array(fc.tuple(fc.integer({ min: -5_000, max: 5_000 }), fc.nat(1_000)));
    fc.assert(
      fc.property(readings, (all) => {
        const { machine, clock } = skewed(0);
        clock.take({ serverMs: 100_000, atMs: 50, uncertaintyMs: 0 });
        let last = clock.nowMs();
        for (const [shiftMs, passedMs] of all) {
          machine.monotonicMs += passedMs;
          clock.take({
            serverMs: 100_000 + machine.monotonicMs - 50 + shiftMs,
            atMs: machine.monotonicMs,
            uncertaintyMs: 1,
          });
          expect(clock.nowMs()).toBeGreaterThanOrEqual(last);
          last = clock.nowMs();
        }
      }),
    );
  });

  it('is set when following it has begun, and goes on as it is when a reading fails', async () => {
    const failures: unknown[] = [];
    const end = new AbortController();
    const { clock } = skewed(HOUR_MS);
    const reading = { serverMs: 7_000, atMs: 50, uncertaintyMs: 1 };
    await clock.follow(
      async () => reading,
      end.signal,
      (error) => failures.push(error),
    );
    expect(clock.nowMs()).toBe(7_000);
    const lost = new Error('gone');
    await clock.follow(
      () => Promise.reject(lost),
      end.signal,
      (error) => failures.push(error),
    );
    expect([clock.nowMs(), failures]).toEqual([7_000, [lost]]);
    end.abort();
  });
});
