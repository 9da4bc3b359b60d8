import { chain } from '../graphs.mjs';
import { busyCores } from '../processes.mjs';
import { Samples } from '../samples.mjs';
import { BenchSystem, eventually, PROJECT } from '../system.mjs';

/** Steps of a chain that are not counted: compilers and caches are cold. */
const WARM_UP = 30;

/** What a step costs besides its work: chains of steps that do nothing, one chain at a time. */
export async function run(context) {
  const system = await BenchSystem.start(context);
  try {
    await engineAlone(system, context);
    await endToEnd(system, context);
  } finally {
    await system.stop();
  }
}

/** From the worker's report of a step until the next one is in the worker's hands, on the clock of the worker. */
async function engineAlone(system, { steps, record, curve, cores }) {
  const worker = await system.fastWorker();
  await worker.call('chain', { length: WARM_UP, timeoutMs: 60_000 });
  const window = system.cpuWindow();
  const overheads = new Samples(await worker.call('chain', { length: steps, timeoutMs: 300_000 }));
  const bound = `report, decision, append and task each cross NATS once, one after another; ${busyCores(window.read(), cores)}`;
  const shape = `chain of ${steps}, fast worker`;
  record({ name: 'step overhead, engine p50', shape, value: overheads.median, unit: 'ms', bound });
  record({ name: 'step overhead, engine p99', shape, value: overheads.quantile(0.99), unit: 'ms', bound });
  curve('step, engine', overheads);
}

/** Time per step of the real runtime when the step takes no time, by the times of its completions in the log. */
async function endToEnd(system, { steps, record, curve, cores }) {
  await completions(system, WARM_UP);
  const window = system.cpuWindow();
  const times = await completions(system, steps);
  const overheads = new Samples(times.slice(1).map((time, i) => time - times[i]));
  const bound = `a heartbeat, the newest checkpoint, a worker thread and two reports per step; ${busyCores(window.read(), cores)}`;
  const shape = `chain of ${steps}, phase runtime`;
  record({ name: 'step overhead, end to end p50', shape, value: overheads.median, unit: 'ms', bound });
  record({
    name: 'step overhead, end to end p99',
    shape,
    value: overheads.quantile(0.99),
    unit: 'ms',
    bound,
  });
  curve('step, end to end', overheads);
}

/** Times at which the steps of a chain were complete, ms. */
async function completions({ pipeline }, length) {
  const { run } = await pipeline.createRun({ parent: PROJECT, graph: chain('bench', length) });
  await eventually(
    `end of ${run.name}`,
    async () => (await pipeline.getRun({ name: run.name, view: 1 })).run.endTime !== undefined,
    600_000,
  );
  const times = [];
  for (let pageToken = ''; ; ) {
    const page = await pipeline.listRunEvents({ name: run.name, pageSize: 1000, pageToken });
    for (const { payload, time } of page.events)
      if (payload.case === 'stepCompleted') times.push(Number(time.seconds) * 1000 + time.nanos / 1e6);
    pageToken = page.nextPageToken;
    if (pageToken === '') break;
  }
  if (times.length !== length) throw new Error(`${times.length} of ${length} steps are complete`);
  return times;
}
