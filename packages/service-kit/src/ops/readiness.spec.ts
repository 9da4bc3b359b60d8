import { Readiness } from './readiness.js';

describe('Readiness', () => {
  it('holds when every condition does, and tells about changes only', () => {
    const readiness = new Readiness();
    const seen: boolean[] = [];
    readiness.onChange((isReady) => seen.push(isReady));
    readiness.report('nats', false, 'connecting');
    readiness.report('listening', true);
    expect(readiness.isReady()).toBe(false);
    readiness.report('nats', true);
    readiness.report('nats', true);
    readiness.report('draining', false, 'stopping');
    expect(seen).toEqual([false, true, false]);
    expect(readiness.checks()).toEqual({
      listening: { isReady: true, reason: undefined },
      nats: { isReady: true, reason: undefined },
      draining: { isReady: false, reason: 'stopping' },
    });
  });
});
