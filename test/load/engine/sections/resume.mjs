import { setTimeout as sleep } from 'node:timers/promises';
import { chain } from '../graphs.mjs';
import { Samples } from '../samples.mjs';
import { BenchSystem, eventually, PROJECT } from '../system.mjs';

/** Longer than any measurement. */
const STEP = { duration_ms: 3_600_000, checkpoint_interval_s: 0.5 };
/** Enough that one is free while others are started again. */
const WORKERS = 4;
/** Kills fall everywhere in the second between two beats: the golden ratio spreads them evenly, however many. */
const BEAT_MS = 1_000;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** A resume that takes longer has failed. */
const LIMIT_MS = 180_000;

/** How long a step lies still when the worker that executes it is killed: until a worker has started it again. */
export async function run({ kills, record, curve, say }) {
  // Every kill brings a restart, and local mode says so: that is no news here.
  const system = await BenchSystem.start({ replicas: { 'phase-bench': WORKERS } });
  const watch = new AbortController();
  try {
    const graph = chain('bench', 1, STEP);
    const { run: made } = await system.pipeline.createRun({ parent: PROJECT, graph });
    const seen = follow(system, made.name, watch.signal);
    const delays = new Samples();
    let sameAttempt = 0;
    for (let i = 0; i < kills; i++) {
      const current = await eventually('the step is started', () => seen.starts[i]);
      await eventually('a checkpoint of it', () => seen.checkpoints.some((atMs) => atMs > current.atMs));
      await eventually('another worker', () => hasFreeWorker(system));
      await sleep(((i * GOLDEN) % 1) * BEAT_MS);
      const killedAt = Date.now();
      process.kill(workerOf(system, current.worker), 'SIGKILL');
      const next = await eventually('the step is started again', () => seen.starts[i + 1], LIMIT_MS);
      delays.add((next.atMs - killedAt) / 1000);
      if (next.attemptId === current.attemptId) sameAttempt++;
      say(`  kill ${i + 1}: ${((next.atMs - killedAt) / 1000).toFixed(2)} s`);
    }
    const shape = `${kills} kills, ${WORKERS} workers`;
    const bound = `the time after which a silent worker's task is delivered again; ${sameAttempt} of ${kills} went on in the same attempt`;
    record({ name: 'resume after SIGKILL p50', shape, value: delays.median, unit: 's', bound });
    record({ name: 'resume after SIGKILL p99', shape, value: delays.quantile(0.99), unit: 's', bound });
    curve('resume after SIGKILL', new Samples(delays.values().map((seconds) => seconds * 1000)));
    await system.pipeline.cancelRun({ name: made.name });
  } finally {
    watch.abort();
    await system.stop();
  }
}

/** Starts and checkpoints of the run's only step, as they come; times are those of the events. */
function follow({ pipeline }, name, signal) {
  const seen = { starts: [], checkpoints: [] };
  const read = async () => {
    for await (const { update } of pipeline.watchRun({ name }, { signal })) {
      // The run as it stands comes first: what it has seen already counts too.
      if (update.case === 'run') {
        const [attempt] = update.value.steps[0].attempts;
        if (attempt?.startTime !== undefined)
          seen.starts.push({
            atMs: millis(attempt.startTime),
            worker: attempt.worker,
            attemptId: attempt.id,
          });
      }
      if (update.case !== 'event') continue;
      const { payload, time } = update.value;
      if (payload.case === 'stepStarted') seen.starts.push({ ...payload.value, atMs: millis(time) });
      if (payload.case === 'stepCheckpointed') seen.checkpoints.push(millis(time));
    }
  };
  read().catch((error) => {
    if (!signal.aborted) console.error(`bench:engine: the watched run was lost: ${error.message}`);
  });
  return seen;
}

const millis = ({ seconds, nanos }) => Number(seconds) * 1000 + nanos / 1e6;
const isWorker = (name) => name.startsWith('phase-bench');

/** Whether a worker besides the one that executes the step says that it is ready. */
async function hasFreeWorker(system) {
  const names = Object.keys(system.pids).filter(isWorker);
  const answers = await Promise.all(
    names.map((name) =>
      fetch(`http://${system.httpOf(name)}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    ),
  );
  return answers.filter(Boolean).length >= 2;
}

/** Process of the worker with this name: a worker is called after its host and process. */
function workerOf(system, worker) {
  const found = Object.entries(system.pids).find(
    ([name, pid]) => isWorker(name) && worker.endsWith(`-${pid}`),
  );
  if (!found) throw new Error(`no process for worker ${worker}`);
  return found[1];
}
