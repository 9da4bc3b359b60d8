import { setTimeout as sleep } from 'node:timers/promises';
import { Disk } from './disk.mjs';
import { SERVICES } from './system.mjs';

const NATS = 'nats-server';

/**
 * What goes wrong. `weight` is how often one is chosen beside the others; `choose` draws its details from the seed
 * alone; `cause` does it and resolves when it is over. `counts` is where the report counts it.
 */
const FAULTS = [
  {
    name: 'kill',
    counts: 'kills',
    weight: 6,
    choose: (random) => ({ target: random.pick([...SERVICES, 'orchestrator', 'phase-probe', NATS]) }),
    cause: async ({ system }, { target }) => system.signal(target, 'SIGKILL'),
  },
  {
    name: 'restart',
    counts: 'restarts',
    weight: 2,
    choose: (random) => ({ target: random.pick([...SERVICES, NATS]) }),
    cause: async ({ system }, { target }) => system.signal(target, 'SIGTERM'),
  },
  {
    name: 'stop',
    counts: 'stops',
    weight: 4,
    choose: (random) => ({ target: random.pick([...SERVICES, NATS]), ms: random.between(300, 6_000) }),
    cause: async ({ system }, { target, ms }) => {
      const pid = system.pidOf(target);
      if (!system.signal(target, 'SIGSTOP')) return;
      await sleep(ms);
      if (system.pidOf(target) === pid) system.signal(target, 'SIGCONT');
    },
  },
  {
    name: 'cut',
    counts: 'drops',
    weight: 3,
    choose: (random) => ({ target: random.pick(SERVICES) }),
    cause: async ({ system }, { target }) => system.proxies.get(target).cut(),
  },
  {
    name: 'partition',
    counts: 'drops',
    weight: 3,
    choose: (random) => ({ target: random.pick(SERVICES), ms: random.between(500, 6_000) }),
    cause: async ({ system }, { target, ms }) => {
      system.proxies.get(target).refuse(true);
      await sleep(ms);
      system.proxies.get(target).refuse(false);
    },
  },
  {
    name: 'delay',
    counts: 'delays',
    weight: 3,
    choose: (random) => ({
      target: random.pick(SERVICES),
      delayMs: random.between(10, 400),
      ms: random.between(1_000, 6_000),
    }),
    cause: async ({ system }, { target, delayMs, ms }) => {
      system.proxies.get(target).delay(delayMs);
      await sleep(ms);
      system.proxies.get(target).delay(0);
    },
  },
  {
    name: 'fill',
    counts: 'fills',
    weight: 2,
    choose: (random) => ({ target: random.pick(Disk.streams), ms: random.between(500, 4_000) }),
    cause: async ({ system, disk }, { target, ms }) => {
      system.hold(true);
      try {
        await disk.fill(target);
      } finally {
        system.hold(false);
      }
      await sleep(ms);
      await disk.free();
    },
  },
  {
    name: 'skew',
    counts: 'skews',
    weight: 1,
    choose: (random) => ({
      target: random.pick(SERVICES),
      shiftMs: random.pick([-1, 1]) * random.between(5_000, 120_000),
    }),
    cause: async ({ system }, { target, shiftMs }) => {
      system.clockShiftMs.set(target, shiftMs);
      system.signal(target, 'SIGKILL');
    },
  },
];

/** What the report counts. */
export const COUNTS = [...new Set(FAULTS.map(({ counts }) => counts))];

const BAG = FAULTS.flatMap((fault) => Array(fault.weight).fill(fault));

/** The next fault and the wait before it: a pure function of the generator. */
export function nextFault(random) {
  const waitMs = random.between(500, 4_000);
  const fault = random.pick(BAG);
  return { waitMs, fault, details: fault.choose(random) };
}

/**
 * Causes faults until the signal aborts; several may overlap.
 * @param onFault  gets a line for people
 * @returns how many of each there were
 */
export async function causeFaults(parts, random, signal, onFault) {
  const counts = Object.fromEntries(COUNTS.map((name) => [name, 0]));
  const running = new Set();
  while (!signal.aborted) {
    const { waitMs, fault, details } = nextFault(random);
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    onFault(
      `${fault.name} ${Object.entries(details)
        .map(([key, value]) => `${key}=${value}`)
        .join(' ')}`,
    );
    counts[fault.counts] += 1;
    // A fault that cannot be caused, because its target is down already, is none.
    const one = fault.cause(parts, details).catch(() => undefined);
    running.add(one);
    void one.finally(() => running.delete(one));
  }
  await Promise.all(running);
  return counts;
}

/** Makes everything whole again: nothing stopped, no network broken, the disk free, every clock right. */
export async function heal({ system, disk }) {
  for (const name of [...SERVICES, NATS]) system.signal(name, 'SIGCONT');
  for (const proxy of system.proxies.values()) {
    proxy.delay(0);
    proxy.refuse(false);
  }
  for (const name of system.clockShiftMs.keys()) system.signal(name, 'SIGKILL');
  system.clockShiftMs.clear();
  for (let tries = 0; ; tries++) {
    try {
      return await disk.free();
    } catch (error) {
      if (tries === 60) throw error;
      await sleep(500);
    }
  }
}
