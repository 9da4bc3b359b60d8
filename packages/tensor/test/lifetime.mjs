/**
 * What the garbage collector does with tensors outside of any scope, in a process whose heap holds nothing else: prints the live
 * tensors at each point as JSON.
 *
 *   node --expose-gc lifetime.mjs
 */
import { setImmediate } from 'node:timers/promises';
import { memoryStats, scope, tensor } from '../dist/index.js';

/** Collects until the live tensors are down to `target`, or the attempts are used up. */
async function collectDownTo(target, attempts = 20) {
  for (let attempt = 0; attempt < attempts && memoryStats().liveTensors > target; attempt++) {
    globalThis.gc();
    await setImmediate();
  }
  return memoryStats().liveTensors;
}

let held = Array.from({ length: 20 }, () => tensor([1, 2]));
held.push(scope(() => tensor([3]))); // left its scope for none
const whileHeld = await collectDownTo(0, 5);
const item = held[20].item();
held = [];
const afterwards = await collectDownTo(0);

(() => tensor([1]).dispose())();
const disposed = memoryStats().liveTensors;
globalThis.gc();
await setImmediate();
console.log(JSON.stringify({ whileHeld, item, afterwards, disposed, collected: memoryStats().liveTensors }));
