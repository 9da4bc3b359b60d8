import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { memoryStats, scope, type Tensor, tensor } from './index.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Collects until the live tensors are down to `target`, or the attempts are used up. */
async function collectDownTo(target: number, attempts = 20): Promise<number> {
  for (let attempt = 0; attempt < attempts && memoryStats().liveTensors > target; attempt++) {
    collectGarbage();
    await setImmediate();
  }
  return memoryStats().liveTensors;
}

/** Collects what earlier tests of this process left, until nothing more goes; resolves to what stays. */
async function settle(): Promise<number> {
  let live = memoryStats().liveTensors;
  for (let unchanged = 0; unchanged < 3; ) {
    collectGarbage();
    await setImmediate();
    unchanged = memoryStats().liveTensors === live ? unchanged + 1 : 0;
    live = memoryStats().liveTensors;
  }
  return live;
}

/** Whole collections of a heap that other tests have filled, on machines that may be busy: ms. */
const SLOW = 180_000;

describe('tensors outside of any scope', () => {
  it(
    'are freed when the garbage collector finds them, and only then',
    async () => {
      const before = await settle();
      let held: Tensor[] = Array.from({ length: 20 }, () => tensor([1, 2]));
      held.push(scope(() => tensor([3]))); // left its scope for none
      expect(await collectDownTo(before, 2)).toBe(before + 21);
      expect(held[20]?.item()).toBe(3);
      held = [];
      expect(await collectDownTo(before)).toBe(before);
    },
    SLOW,
  );

  it(
    'are freed once when disposed of before',
    async () => {
      const before = await settle();
      (() => tensor([1]).dispose())();
      expect(await collectDownTo(before)).toBe(before);
      collectGarbage();
      await setImmediate();
      expect(memoryStats().liveTensors).toBe(before);
    },
    SLOW,
  );
});
