import { lanes } from '../graphs.mjs';
import { BenchSystem, PROJECT } from '../system.mjs';

const SERVICES = ['orchestrator', 'pipeline-controller'];
const LANES = 3;
const DEPTH = 3;
/** Runs that are made at the same time. */
const AT_ONCE = 16;

/** What a run that waits takes in memory: runs that were paused before anything of them was done. */
export async function run(context) {
  const { idle, record } = context;
  // More than are measured: the limit is not the subject.
  const system = await BenchSystem.start({ ...context, env: { FORGE_MAX_ACTIVE_RUNS: String(idle + 100) } });
  try {
    const worker = await system.fastWorker();
    await worker.call('chain', { length: 20, timeoutMs: 60_000 });
    // Steps take long enough to be paused: nothing of the graph is done but its first steps.
    await worker.call('pace', { ms: 200 });
    const before = await held(system);
    await pausedRuns(system, idle);
    const after = await held(system);
    for (const name of SERVICES) {
      const shape = `${idle} paused runs of ${LANES * DEPTH + 1}`;
      const bound = 'the folded run: specification, steps, attempts; after a collection';
      const bytes = (kind) => (after[name][kind] - before[name][kind]) / idle / 1024;
      record({
        name: `heap of a waiting run, ${name}`,
        shape,
        value: bytes('heapBytes'),
        unit: 'KiB',
        bound,
      });
      record({
        name: `resident of a waiting run, ${name}`,
        shape,
        value: bytes('residentBytes'),
        unit: 'KiB',
        bound,
      });
    }
  } finally {
    await system.stop();
  }
}

async function held(system) {
  const memory = {};
  for (const name of SERVICES) memory[name] = await system.heldBytes(name);
  return memory;
}

async function pausedRuns({ pipeline }, count) {
  const graph = lanes('instant', LANES, DEPTH);
  let made = 0;
  const maker = async () => {
    while (made < count) {
      made++;
      const { run } = await pipeline.createRun({ parent: PROJECT, graph });
      await pipeline.pauseRun({ name: run.name });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, maker));
}
