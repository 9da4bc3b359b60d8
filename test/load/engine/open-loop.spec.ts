import { openLoop } from './open-loop.mjs';

/** Time that passes only when everybody waits for it. */
class VirtualTime {
  #now = 0;
  #waiting: { at: number; wake: () => void }[] = [];

  now = () => this.#now;
  sleep = (ms: number) =>
    new Promise<void>((wake) => {
      this.#waiting.push({ at: this.#now + ms, wake });
    });
  /** Passes without anybody doing anything: a process that is stopped. */
  freeze(ms: number) {
    this.#now += ms;
  }

  /** Lets time pass until a promise settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = promise.finally(() => {
      isSettled = true;
    });
    settled.catch(() => undefined);
    for (;;) {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      if (isSettled) return settled;
      this.#waiting.sort((a, b) => a.at - b.at);
      const next = this.#waiting.shift();
      if (!next) throw new Error('nobody waits for time to pass');
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
  }
}

/** Answers after 2 ms, but nothing in [from, to). */
const stalling = (time: VirtualTime, from: number, to: number) => async () => {
  await time.sleep(2);
  if (time.now() >= from && time.now() < to) await time.sleep(to - time.now());
};

describe('openLoop()', () => {
  it('sends at the rate that was asked for, whatever the answers take', async () => {
    const time = new VirtualTime();
    const sent: number[] = [];
    const send = async () => {
      sent.push(time.now());
      await time.sleep(1_000);
    };
    const result = await time.until(openLoop({ rate: 100, durationMs: 500, send }, time));
    expect(sent).toEqual(Array.from({ length: 50 }, (_, i) => i * 10));
    expect(result).toMatchObject({ total: 50, answered: 50 });
    expect(result.latencies.quantile(0)).toBe(1_000);
    expect(result.latencies.max).toBe(1_000);
  });

  it('shows a stall of the server in every request that was due meanwhile; a closed loop sees it once', async () => {
    const time = new VirtualTime();
    const send = stalling(time, 400, 700);
    const { latencies, lags } = await time.until(openLoop({ rate: 200, durationMs: 1_000, send }, time));
    // 60 requests were due in 300 ms of silence: their latencies fall from 300 ms to the usual 2 ms.
    expect(latencies.countAbove(2.5)).toBe(60);
    expect(latencies.max).toBeGreaterThanOrEqual(297);
    expect(latencies.quantile(0.99)).toBeGreaterThan(285);
    expect(latencies.quantile(0.85)).toBeGreaterThan(140);
    expect(latencies.median).toBe(2);
    expect(lags.max).toBe(0);

    const closed = new VirtualTime();
    const one = stalling(closed, 400, 700);
    const seen: number[] = [];
    await closed.until(
      (async () => {
        while (closed.now() < 1_000) {
          const began = closed.now();
          await one();
          seen.push(closed.now() - began);
        }
      })(),
    );
    expect(seen.filter((latency) => latency > 2.5)).toHaveLength(1);
  });

  it('counts a stall of the generator itself, as lag and as latency', async () => {
    const time = new VirtualTime();
    const send = async (i: number) => {
      if (i === 10) time.freeze(100);
      await time.sleep(1);
    };
    const { latencies, lags } = await time.until(openLoop({ rate: 1_000, durationMs: 300, send }, time));
    expect(lags.max).toBe(99);
    expect(latencies.countAbove(50)).toBeGreaterThan(45);
    expect(latencies.count).toBe(300);
  });

  it('counts failures by code, with their latency', async () => {
    const time = new VirtualTime();
    const send = async (i: number) => {
      await time.sleep(3);
      if (i % 4 === 0) throw Object.assign(new Error('no'), { code: 'UNAVAILABLE' });
    };
    const result = await time.until(openLoop({ rate: 100, durationMs: 200, send }, time));
    expect(result.failures).toEqual(new Map([['UNAVAILABLE', 5]]));
    expect(result).toMatchObject({ total: 20, answered: 15, achievedRate: 75 });
    expect(result.latencies.count).toBe(20);
  });

  it('gives up on answers that never come, and counts what it waited', async () => {
    const time = new VirtualTime();
    const send = (i: number) => (i === 0 ? new Promise(() => undefined) : time.sleep(1));
    const result = await time.until(openLoop({ rate: 100, durationMs: 100, send, drainMs: 500 }, time));
    expect(result.failures).toEqual(new Map([['NO_ANSWER', 1]]));
    expect(result.latencies.count).toBe(10);
    expect(result.latencies.max).toBeGreaterThanOrEqual(590);
  });

  it('keeps a bounded number of requests open, and does not hide the rest', async () => {
    const time = new VirtualTime();
    const send = () => time.sleep(10_000);
    const result = await time.until(
      openLoop({ rate: 100, durationMs: 1_000, send, maxOpen: 30, drainMs: 20_000 }, time),
    );
    expect(result.failures).toEqual(new Map([['NOT_SENT', 70]]));
    expect(result.latencies.count).toBe(100);
    expect(result.latencies.median).toBeGreaterThanOrEqual(10_000);
  });
});
