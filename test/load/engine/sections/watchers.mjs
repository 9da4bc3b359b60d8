import { setTimeout as sleep } from 'node:timers/promises';
import { WatchRunRequestSchema } from '@agentforge/contracts';
import { connectEvents } from '@agentforge/events';
import { create, toBinary } from '@bufbuild/protobuf';
import { chain } from '../graphs.mjs';
import { busyCores } from '../processes.mjs';
import { Samples } from '../samples.mjs';
import { BenchSystem } from '../system.mjs';

const CONNECTIONS = 10;
/** Time of a step, ms: some 20 events a second, each to every watcher. */
const STEP_MS = 100;
/** Time that watchers get to come while the run goes on. */
const SETUP_S = 30;
const FRONT_DOOR = 'pipeline-controller';

/** One run, many watchers: how long after its commit an event reaches them, and what they cost. */
export async function run(context) {
  const { watchers: count, seconds, record, curve, cores } = context;
  const system = await BenchSystem.start(context);
  try {
    const worker = await system.fastWorker();
    await worker.call('pace', { ms: STEP_MS });
    const [generator] = await system.generators(1);
    // Long enough for the watchers to come, and for the measurement; then it is cancelled.
    const graph = chain('instant', Math.round(((seconds + SETUP_S) * 1000) / STEP_MS));
    await generator.call('connect', { server: system.server, connectionCount: CONNECTIONS });
    await watched(system, worker, generator, { graph, count: 10, seconds: 2 });
    const before = await system.heldBytes(FRONT_DOOR);
    const { delays, held, used, events } = await watched(system, worker, generator, {
      graph,
      count,
      seconds,
    });

    const shape = `${count} watchers, ${events} events each`;
    const bound = `${busyCores(used, cores)}; watchers and their clocks share the machine`;
    for (const [share, name] of [
      [0.5, 'p50'],
      [0.99, 'p99'],
    ])
      record({ name: `commit to watcher ${name}`, shape, value: delays.quantile(share), unit: 'ms', bound });
    curve('commit to watcher', delays);
    record({
      name: 'front door memory of a watcher',
      shape: `${shape}, after a collection`,
      value: (held.heapBytes - before.heapBytes) / count / 1024,
      unit: 'KiB',
      bound: 'buffers of a stream and of the log reader behind it',
    });
    const { peakBytes } = system.residentBytes(FRONT_DOOR);
    record({
      name: 'front door memory, peak',
      shape,
      value: peakBytes / 2 ** 20,
      unit: 'MiB',
      bound: '',
    });
    record({
      name: 'front door CPU of an event sent',
      shape,
      value: (used.cpu[FRONT_DOOR] * 1e6) / (events * count),
      unit: 'µs',
      bound,
    });
  } finally {
    await system.stop();
  }
}

/** Has a run watched; counts what is committed while every watcher is there. */
async function watched(system, worker, generator, { graph, count, seconds }) {
  const { name } = await worker.call('create', { graph });
  const request = toBinary(WatchRunRequestSchema, create(WatchRunRequestSchema, { name }));
  await generator.call('watch', { request, count });
  const liveAt = await generator.call('live');
  const window = system.cpuWindow();
  await sleep(seconds * 1000);
  const used = window.read();
  const until = Date.now();
  const held = await system.heldBytes(FRONT_DOOR);
  await system.pipeline.cancelRun({ name });
  const seen = await generator.call('watched');

  const commits = await commitTimes(system, name);
  const delays = new Samples();
  for (const { revisions, times, error } of seen) {
    if (error !== undefined) throw new Error(`a watcher ended: ${error}`);
    const [seenLast, last] = [revisions.at(-1), [...commits.keys()].at(-1)];
    if (seenLast !== last)
      throw new Error(`a watcher saw revision ${seenLast ?? 'none'} as the last one instead of ${last}`);
    for (const [i, revision] of revisions.entries()) {
      const committedAt = commits.get(revision);
      if (committedAt >= liveAt && committedAt < until) delays.add(times[i] - committedAt);
    }
  }
  return { delays, held, used, events: Math.round(delays.count / count) };
}

/** When each revision of a run was committed, epoch ms, by the clock of the NATS server. */
async function commitTimes({ natsUrl }, run) {
  const events = await connectEvents({ servers: natsUrl, name: 'bench' });
  try {
    const batches = await events.runs.read(run);
    return new Map(batches.map(({ revision, time }) => [Number(revision), time.getTime()]));
  } finally {
    await events.close();
  }
}
