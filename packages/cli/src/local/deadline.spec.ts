import { setTimeout as sleep } from 'node:timers/promises';
import { deadline } from './deadline.js';

describe('deadline()', () => {
  it('aborts after its time', async () => {
    const { signal } = deadline(10, new AbortController().signal);
    await sleep(30);
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('aborts with the other signal, also when that was aborted before', () => {
    const other = new AbortController();
    const before = deadline(60_000, other.signal);
    other.abort(new RangeError('enough'));
    const after = deadline(60_000, other.signal);
    for (const one of [before, after]) {
      expect(one.signal.reason).toMatchObject({ message: 'enough' });
      one.dispose();
    }
  });

  it('does not abort once it is disposed of', async () => {
    const other = new AbortController();
    const { signal, dispose } = deadline(10, other.signal);
    dispose();
    other.abort();
    await sleep(30);
    expect(signal.aborted).toBe(false);
  });
});
