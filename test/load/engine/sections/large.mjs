import { setTimeout as sleep } from 'node:timers/promises';
import { lanes } from '../graphs.mjs';
import { busyCores } from '../processes.mjs';
import { Samples } from '../samples.mjs';
import { BenchSystem, eventually, PROJECT } from '../system.mjs';

/** Chains beside each other. */
const LANES = 99;
const SERVICES = ['orchestrator', 'pipeline-controller'];
const LIMIT_MS = 900_000;
const REPEATS = 5;

/** One run with very many steps: accepted, executed, read in pages, and what it takes in memory. */
export async function run(context) {
  const { large, record, cores } = context;
  const system = await BenchSystem.start(context);
  try {
    const worker = await system.fastWorker({ concurrency: 256 });
    await worker.call('chain', { length: 20, timeoutMs: 60_000 });
    const before = await heapOf(system);
    const graph = lanes('instant', LANES, Math.max(1, Math.round((large - 1) / LANES)));
    const count = graph.steps.length;
    const shape = `${count.toLocaleString('en-US')} steps`;

    const window = system.cpuWindow();
    const began = performance.now();
    const { run: made } = await system.pipeline.createRun({ parent: PROJECT, graph });
    const createdMs = performance.now() - began;
    const bound = 'checks of the graph, its defaults, and appends of its parts';
    record({ name: 'create a large run', shape, value: createdMs, unit: 'ms', bound });

    await untilEnded(system, made.name);
    const ranS = (performance.now() - began) / 1000;
    const used = window.read();
    record({
      name: 'run it',
      shape: `${shape}, ${LANES} lanes`,
      value: count / ranS,
      unit: 'steps/s',
      bound: busyCores(used, cores),
    });
    for (const pageSize of [100, 1000]) {
      const pages = await readPages(system, made.name, pageSize, count);
      const pageBound = 'one answer is encoded at a time; its steps are folded already';
      const pageShape = `${shape}, ${pages.count} pages`;
      record({
        name: `page of ${pageSize} steps, median`,
        shape: pageShape,
        value: pages.median,
        unit: 'ms',
        bound: pageBound,
      });
      record({
        name: `page of ${pageSize} steps, slowest`,
        shape: pageShape,
        value: pages.max,
        unit: 'ms',
        bound: pageBound,
      });
    }
    const after = await heapOf(system);
    for (const name of SERVICES) {
      const memoryBound = 'specification and attempts of every step; after a collection';
      record({
        name: `memory of a step, ${name}`,
        shape: `${shape}, just ended`,
        value: (after[name] - before[name]) / count / 1024,
        unit: 'KiB',
        bound: memoryBound,
      });
      record({
        name: `memory, peak, ${name}`,
        shape,
        value: system.residentBytes(name).peakBytes / 2 ** 20,
        unit: 'MiB',
        bound: memoryBound,
      });
    }
  } finally {
    await system.stop();
  }
}

/** Heap that is held after a collection, by service, bytes. */
async function heapOf(system) {
  const held = {};
  for (const name of SERVICES) held[name] = (await system.heldBytes(name)).heapBytes;
  return held;
}

function untilEnded({ pipeline }, name) {
  return eventually(
    `end of ${name}`,
    async () => {
      await sleep(500);
      const { run } = await pipeline.getRun({ name, view: 1 });
      if (run.failure) throw new Error(`${name} failed: ${run.failure.message}`);
      return run.endTime !== undefined;
    },
    LIMIT_MS,
  );
}

/** Time of each page over several readings of all steps, ms. */
async function readPages({ pipeline }, parent, pageSize, count) {
  const times = new Samples();
  for (let i = 0; i < REPEATS; i++) {
    let seen = 0;
    for (let pageToken = ''; ; ) {
      const began = performance.now();
      const page = await pipeline.listSteps({ parent, pageSize, pageToken });
      times.add(performance.now() - began);
      seen += page.steps.length;
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    if (seen !== count) throw new Error(`the pages show ${seen} of ${count} steps`);
  }
  return times;
}
