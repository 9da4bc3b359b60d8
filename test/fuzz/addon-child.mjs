// Calls the addon with what no caller should pass, until told to stop; ends with 0 when every call answered as it may.
// Arguments: settings as JSON, see `addon.spec.ts`. Each sequence is in the file `last` before it runs: a crash leaves it.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describeValue, KINDS, makeValue } from './addon-values.mjs';

// `leniency`: how many times the memory and time of a plain build may be taken; sanitizers take more of both.
const { addonPath, last, seed, seconds, sequences, replay, leniency = 1 } = JSON.parse(process.argv[2]);
const MAX_BYTES = 64 * 2 ** 20;
/** What Node, the addon and its pool may take beside tensors. */
const MAX_OTHER_BYTES = leniency * 512 * 2 ** 20;
const MAX_MS = leniency * 5000;
const CODES = ['HANDLE', 'DTYPE', 'SHAPE', 'ARGUMENT', 'OOM', 'UNSUPPORTED', 'DEVICE'];
const CALLS = 24;

const addon = createRequire(import.meta.url)(addonPath);
addon.init({ maxBytes: MAX_BYTES, threads: 1 });
const names = Object.keys(addon);

/** The numbers of `random.ts`. */
function randomOf(start) {
  let x = start | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  x = (x ^ (x >>> 16)) | 0 || 1;
  const below = (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return Math.floor(((x >>> 0) / 2 ** 32) * n);
  };
  return { below, oneIn: (n) => below(n) === 0, pick: (list) => list[below(list.length)] };
}

/** What each argument of a function has to be, learnt from its refusals. */
const wanted = new Map(names.map((name) => [name, []]));

function learn(name, message) {
  const found = /argument (\d+) is not (.*?)(?: \(.*\)| of \w+)?$/.exec(message);
  const handle = /argument (\d+): no live tensor/.exec(message);
  if (found !== null && found[2] in KINDS) wanted.get(name)[Number(found[1]) - 1] = found[2];
  if (handle !== null) wanted.get(name)[Number(handle[1]) - 1] ??= 'a tensor handle';
}

function describeCall(random) {
  const name = random.pick(names);
  const known = wanted.get(name);
  const count = random.oneIn(12) ? random.below(18) : Math.max(known.length, 1) + random.below(2);
  const values = Array.from({ length: count }, (_, i) => {
    const kinds = KINDS[random.oneIn(15) ? 'any' : (known[i] ?? 'any')];
    return describeValue(random.pick(kinds), random);
  });
  return [name, ...values];
}

const tally = { calls: 0, accepted: 0 };

/** Runs a sequence; throws when an answer is none that the addon may give. */
function run(calls) {
  const state = { live: [], freed: [], addon };
  for (const [name, ...descriptors] of calls) {
    const values = descriptors.filter(([kind]) => kind !== 'missing').map((one) => makeValue(one, state));
    tally.calls++;
    try {
      note(addon[name](...values), name, values, state);
      tally.accepted++;
    } catch (error) {
      check(error, name);
      learn(name, error.message);
    }
    const { liveBytes, cachedBytes } = addon.memoryStats();
    if (liveBytes + cachedBytes > MAX_BYTES)
      throw new Error(`${name}: ${liveBytes} + ${cachedBytes} bytes are held`);
  }
  for (const handle of state.live) {
    try {
      addon.free(handle);
    } catch (error) {
      check(error, 'free');
    }
  }
}

function note(result, name, values, state) {
  const handles = (Array.isArray(result) ? result : [result]).filter((one) => typeof one === 'number');
  if (name === 'free') state.freed.push(values[0]);
  for (const handle of handles) {
    // A number is a handle when the addon knows it; handles begin far above what ops compute.
    if (handle > 2 ** 44 && Number.isSafeInteger(handle) && !state.live.includes(handle))
      state.live.push(handle);
  }
}

function check(error, name) {
  const isCallers = error instanceof RangeError && error.message === 'thrown by the caller';
  if (isCallers || error instanceof TypeError) return;
  if (error instanceof Error && CODES.includes(error.code)) return;
  throw new Error(`${name} threw ${error?.code}: ${error?.stack ?? error}`);
}

function attempt(calls) {
  writeFileSync(last, JSON.stringify(calls));
  const start = performance.now();
  run(calls);
  const ms = performance.now() - start;
  if (ms > MAX_MS) throw new Error(`a sequence took ${Math.round(ms)} ms`);
}

for (const file of replay) attempt(JSON.parse(readFileSync(file, 'utf8')));
const end = performance.now() + seconds * 1000;
for (let n = 0; n < sequences && performance.now() < end; n++) {
  const random = randomOf(seed + n);
  // Two tensors to begin with, so that ops have something to take.
  const first = [0, 1].map(() => [
    'full',
    ['number', random.oneIn(3) ? 1 : 0],
    describeValue('shape', random),
    ['number', 1],
  ]);
  attempt([...first, ...Array.from({ length: CALLS }, () => describeCall(random))]);
}
const { maxRSS } = process.resourceUsage();
if (maxRSS * 1024 > MAX_BYTES + MAX_OTHER_BYTES) throw new Error(`the process took ${maxRSS} KiB`);
console.log(
  JSON.stringify({
    ...tally,
    functions: names.length,
    learnt: [...wanted.values()].filter((w) => w.length > 0).length,
  }),
);
