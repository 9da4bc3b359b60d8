import { type Redelivery, SubtaskBatch } from './subtask-batch.js';

function batchOf(count: number, privates: readonly number[] = []) {
  const redelivered: Redelivery[] = [];
  let lease = 0;
  const batch = new SubtaskBatch(
    Array.from({ length: count }, (_, i) => [i, privates.includes(i)] as const),
    () => ++lease,
    (reason) => redelivered.push(reason),
  );
  return { batch, redelivered };
}

describe('SubtaskBatch', () => {
  it('gives the front to the own worker and the back to others, each once', () => {
    const { batch } = batchOf(3);
    expect(batch.takeOwn(0)).toBe(0);
    expect(batch.grant('b', 0)).toEqual({ lease: 1, index: 2 });
    expect(batch.grant('c', 0)).toEqual({ lease: 2, index: 1 });
    expect(batch.grant('d', 0)).toBeUndefined();
    expect([batch.open, batch.held]).toEqual([0, 2]);
    expect(batch.answer(1)).toBe(2);
    expect(batch.answer(2)).toBe(1);
    expect(batch.isDone).toBe(false);
    expect(batch.answerOwn(0, 10)).toBe(true);
    expect(batch.isDone).toBe(true);
  });

  it('opens again what a silent worker holds, and ignores what it says later', () => {
    const { batch, redelivered } = batchOf(2);
    const lease = batch.grant('b', 0)?.lease ?? 0;
    batch.grant('c', 0);
    expect(batch.touch(2, 900)).toBe(true);
    batch.expire(1001, 1000);
    expect(redelivered).toEqual(['silent']);
    expect([batch.touch(lease, 1002), batch.answer(lease)]).toEqual([false, undefined]);
    expect(batch.takeOwn(1002)).toBe(1);
  });

  it('computes what is held for too long a second time; the first answer counts', () => {
    const { batch, redelivered } = batchOf(2);
    batch.takeOwn(0);
    const lease = batch.grant('b', 0)?.lease ?? 0;
    batch.answerOwn(0, 300);
    expect(batch.takeOwn(300)).toBeUndefined();
    expect(batch.takeOwn(599)).toBeUndefined();
    expect(batch.takeOwn(600)).toBe(1);
    expect(redelivered).toEqual(['slow']);
    expect(batch.takeOwn(5000)).toBeUndefined();
    expect(batch.answer(lease)).toBe(1);
    expect(batch.answerOwn(1, 900)).toBe(false);
    expect(batch.isDone).toBe(true);
  });

  it('waits a little for others even when its own subtasks take no time', () => {
    const { batch } = batchOf(2);
    batch.takeOwn(0);
    batch.grant('b', 0);
    batch.answerOwn(0, 1);
    expect([batch.takeOwn(99), batch.takeOwn(100)]).toEqual([undefined, 1]);
  });

  it('gives one that failed elsewhere to nobody else, and one that was returned to anybody', () => {
    const { batch, redelivered } = batchOf(1);
    batch.giveBack(batch.grant('b', 0)?.lease ?? 0, 'returned');
    expect(batch.open).toBe(1);
    batch.giveBack(batch.grant('b', 0)?.lease ?? 0, 'failed');
    batch.giveBack(2, 'failed');
    expect([batch.open, batch.grant('b', 0), batch.takeOwn(0)]).toEqual([0, undefined, 0]);
    expect(redelivered).toEqual(['returned', 'failed']);
  });

  it('takes everything back when it is closed', () => {
    const { batch, redelivered } = batchOf(2);
    const lease = batch.grant('b', 0)?.lease ?? 0;
    batch.close();
    expect([batch.touch(lease, 1), batch.answer(lease), batch.grant('b', 1)]).toEqual([
      false,
      undefined,
      undefined,
    ]);
    expect([batch.takeOwn(1), batch.takeOwn(1), redelivered]).toEqual([0, 1, []]);
  });

  it('keeps private ones, and those whose answer was refused, for the own worker', () => {
    const { batch } = batchOf(2, [1]);
    const lease = batch.grant('b', 0)?.lease ?? 0;
    expect(batch.answer(lease)).toBe(0);
    batch.reopen(0);
    expect(batch.grant('b', 0)).toBeUndefined();
    expect([batch.takeOwn(0), batch.takeOwn(0)].toSorted()).toEqual([0, 1]);
  });
});
