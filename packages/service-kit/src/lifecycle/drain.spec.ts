import { getMaxListeners } from 'node:events';
import { createLogger } from '@agentforge/telemetry';
import { Drain } from './drain.js';

const log = createLogger({ service: 'test', level: 'silent' });

describe('Drain', () => {
  it('runs once, whoever asks', async () => {
    const drain = new Drain(log, 1000);
    let count = 0;
    drain.on('finish', 'count', () => {
      count += 1;
    });
    const [one, two] = await Promise.all([drain.run('a'), drain.run('b')]);
    expect(one).toBe(two);
    expect(count).toBe(1);
    expect(drain.signal.aborted).toBe(true);
  });

  it('goes on after a hook that throws', async () => {
    const drain = new Drain(log, 1000);
    const order: string[] = [];
    drain.on('finish', 'broken', () => {
      throw new Error('no');
    });
    drain.on('finish', 'fine', () => void order.push('finish'));
    drain.on('close', 'fine', () => void order.push('close'));
    expect((await drain.run('a')).forced).toEqual([]);
    expect(order).toEqual(['finish', 'close']);
  });

  it('tells a hook that its time is up and leaves it behind when it does not react', async () => {
    const drain = new Drain(log, 100);
    const told: string[] = [];
    drain.on(
      'finish',
      'reacts',
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            told.push('checkpoint');
            resolve();
          });
        }),
    );
    drain.on('hand-back', 'hangs', () => new Promise(() => {}));
    drain.on('close', 'last', () => void told.push('close'));
    expect((await drain.run('a')).forced).toEqual(['hand-back']);
    expect(told).toEqual(['checkpoint', 'close']);
  });

  it('may be listened to by any number of streams, without a warning of a leak', () => {
    expect(getMaxListeners(new Drain(log, 1000).signal)).toBeGreaterThanOrEqual(100_000);
  });
});
