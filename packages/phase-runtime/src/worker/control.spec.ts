import { STOP, StopFlag } from './control.js';

describe('StopFlag', () => {
  it('says nothing until it is raised', () => {
    expect(new StopFlag().reason).toBeUndefined();
  });

  it('is seen through the shared memory', () => {
    const flag = new StopFlag();
    flag.raise(STOP.cancel);
    expect(new StopFlag(flag.buffer).reason).toBe('cancel');
  });

  it('keeps the most urgent reason', () => {
    const flag = new StopFlag();
    for (const reason of [STOP.release, STOP.cancel, STOP.release]) flag.raise(reason);
    expect(flag.reason).toBe('cancel');
    flag.raise(STOP.abandon);
    flag.raise(STOP.cancel);
    expect(flag.reason).toBe('abandon');
  });
});
