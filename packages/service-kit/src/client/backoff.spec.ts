import { AppError } from '@agentforge/errors';
import { EchoService } from '../../test/fixtures/echo_pb.js';
import { backoffMs, completePolicy, isIdempotent, mayRetry, wait } from './backoff.js';

const policy = completePolicy({ attempts: 3, initialBackoffMs: 100, maxBackoffMs: 250 });
const unavailable = new AppError('UNAVAILABLE', 'x');

describe('isIdempotent()', () => {
  it('follows the option of the method', () => {
    expect(isIdempotent(EchoService.method.read)).toBe(true);
    expect(isIdempotent(EchoService.method.watch)).toBe(true);
    expect(isIdempotent(EchoService.method.say)).toBe(false);
  });
});

describe('mayRetry()', () => {
  it.each([
    [true, EchoService.method.read, unavailable, 2],
    [false, EchoService.method.read, unavailable, 3],
    [false, EchoService.method.say, unavailable, 1],
    [false, EchoService.method.read, new AppError('DEADLINE_EXCEEDED', 'x'), 1],
    [false, EchoService.method.read, new AppError('RESOURCE_EXHAUSTED', 'x'), 1],
  ])('is %s for %s', (expected, method, error, attempt) => {
    expect(mayRetry(method, error, attempt, policy)).toBe(expected);
  });
});

describe('backoffMs()', () => {
  it('grows, is bounded, and is random below its bound', () => {
    expect([1, 2, 3, 9].map((attempt) => backoffMs(unavailable, attempt, policy, 0.5))).toEqual([
      50, 100, 125, 125,
    ]);
    expect(backoffMs(unavailable, 1, policy, 0)).toBe(0);
  });

  it('waits at least as long as the server asks', () => {
    expect(backoffMs(new AppError('UNAVAILABLE', 'x', { retryAfterMs: 900 }), 1, policy, 0.5)).toBe(900);
  });
});

describe('wait()', () => {
  it('ends early when the signal aborts', async () => {
    const abort = new AbortController();
    const waiting = wait(60_000, abort.signal);
    abort.abort(new RangeError('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(wait(60_000, abort.signal)).rejects.toThrow('enough');
  });
});
