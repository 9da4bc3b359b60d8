import { setTimeout as sleep } from 'node:timers/promises';
import { busyCores } from '../processes.mjs';
import { profiled } from '../profile.mjs';
import { BenchSystem, eventually } from '../system.mjs';

/** Time in which the first steps of a load are done, ms. */
const FIRST_STEPS_MS = 60_000;
/** Steps of a run: three chains of three, and one that waits for them. */
const LANES = 3;
const DEPTH = 3;
const RUN_STEPS = LANES * DEPTH + 1;
/** Compilers and caches get warm, s. */
const WARM_UP_S = 4;

/** Steps per second of one orchestrator: many small runs, and a worker that answers at once. */
export async function run(context) {
  const { runs, seconds, record, cores } = context;
  const system = await BenchSystem.start(context);
  try {
    const worker = await system.fastWorker();
    await startLoad(worker, runs, WARM_UP_S);
    const used = await steadyLoad(system, worker, seconds);
    if (context.profile !== undefined)
      await profiled(system, ['orchestrator', 'pipeline-controller'], context, 'steps', () =>
        sleep(seconds * 1000),
      );
    await worker.call('unload');

    const { steps, cpu } = used;
    const shape = `${runs} runs of ${RUN_STEPS} at once`;
    const bound = busyCores(used, cores);
    const all = Object.values(cpu).reduce((sum, one) => sum + one, 0);
    record({ name: 'steps per second', shape, value: used.rate, unit: '/s', bound });
    record({
      name: 'steps per second of orchestrator CPU',
      shape,
      value: steps / cpu.orchestrator,
      unit: '/s',
      bound,
    });
    for (const name of ['orchestrator', 'pipeline-controller', 'nats-server'])
      record({
        name: `CPU of a step, ${name}`,
        shape,
        value: (cpu[name] * 1000) / steps,
        unit: 'ms',
        bound,
      });
    record({
      name: 'CPU of a step, everything',
      shape: `${shape}, with worker and user`,
      value: (all * 1000) / steps,
      unit: 'ms',
      bound,
    });
  } finally {
    await system.stop();
  }
}

/** Keeps a number of runs going, and returns when it has gone on for a while. */
export async function startLoad(worker, runs, warmUpS) {
  const { steps } = await worker.call('count');
  await worker.call('load', { outstanding: runs, lanes: LANES, depth: DEPTH });
  const isGoing = async () => (await worker.call('count')).steps > steps + runs;
  await eventually('the first steps', isGoing, FIRST_STEPS_MS);
  await sleep(warmUpS * 1000);
}

/**
 * Steps that are done in a time while a load goes on.
 * @returns rate per second, steps, and the CPU window over the same time
 */
export async function steadyLoad(system, worker, seconds) {
  const window = system.cpuWindow();
  const before = await worker.call('count');
  await sleep(seconds * 1000);
  const after = await worker.call('count');
  const used = window.read();
  const steps = after.steps - before.steps;
  if (steps === 0) throw new Error(`no step was done in ${seconds} s`);
  return { ...used, steps, rate: (steps * 1000) / (after.atMs - before.atMs) };
}
