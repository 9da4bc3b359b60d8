import { setTimeout as sleep } from 'node:timers/promises';
import { connectEvents } from '@agentforge/events';
import { lanes } from '../graphs.mjs';
import { BenchSystem, eventually, PROJECT } from '../system.mjs';

const SERVICES = ['orchestrator', 'pipeline-controller'];
/** Appends under way at once. */
const AT_ONCE = 128;
/** Time the services get to take their snapshots once they have followed the log, ms; these come every 2 s here. */
const SETTLE_MS = 20_000;
const LIMIT_MS = 600_000;

/**
 * How long a service takes to be ready when many finished runs are on record. The runs are copies of one that was
 * really executed, event by event, written into the log under names of their own.
 */
export async function run(context) {
  const { finished, record } = context;
  const system = await BenchSystem.start({ ...context, env: { FORGE_SNAPSHOT_INTERVAL_MS: '2000' } });
  try {
    const worker = await system.fastWorker();
    const { name } = await worker.call('create', { graph: lanes('instant', 3, 3) });
    await eventually(
      'end of the run',
      async () => (await system.pipeline.getRun({ name })).run.endTime !== undefined,
    );
    for (const service of SERVICES)
      record({
        name: 'start with finished runs',
        shape: `1 run on record, ${service}`,
        value: await restart(system, service),
        unit: 's',
        bound: 'loading of modules, connection to NATS',
      });
    await copies(system, name, finished);
    await system.untilAtRest(SERVICES, LIMIT_MS);
    await sleep(SETTLE_MS);
    for (const service of SERVICES)
      record({
        name: 'start with finished runs',
        shape: `${finished.toLocaleString('en-US')} runs on record, ${service}`,
        value: await restart(system, service),
        unit: 's',
        bound: 'what of the log is read again',
      });
    const last = `${PROJECT}/runs/copy-${finished - 1}`;
    const { run: found } = await system.pipeline.getRun({ name: last, view: 1 });
    if (found.endTime === undefined) throw new Error(`${last} has not ended after the restart`);
  } finally {
    await system.stop();
  }
}

/** Kills a service; seconds from the start of its next process until it says that it is ready. */
async function restart(system, service) {
  const former = system.pidOf(service);
  process.kill(former, 'SIGKILL');
  await eventually(`a new ${service}`, () => {
    const pid = system.pidOf(service);
    return pid !== undefined && pid !== former;
  });
  const began = performance.now();
  await eventually(
    `${service} is ready`,
    () =>
      fetch(`http://${system.httpOf(service)}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    LIMIT_MS,
  );
  return (performance.now() - began) / 1000;
}

/** Writes the history of a run again, under other names, as one batch each. */
async function copies({ natsUrl }, name, count) {
  const events = await connectEvents({ servers: natsUrl, name: 'bench' });
  try {
    const history = (await events.runs.read(name)).flatMap((batch) => batch.events);
    let next = 0;
    const writer = async () => {
      for (let i = next++; i < count; i = next++)
        await events.runs.append(
          `${PROJECT}/runs/copy-${i}`,
          history.map((event) => renamed(event, name, i)),
          0n,
        );
    };
    await Promise.all(Array.from({ length: AT_ONCE }, writer));
  } finally {
    await events.close();
  }
}

/** The same event of another run: attempts carry the name of their run, and a request id is of one run only. */
function renamed(event, name, i) {
  const { payload } = event;
  const value = { ...payload.value };
  if (payload.case === 'runCreated') value.requestId = '';
  if (value.attemptId) value.attemptId = value.attemptId.replace(name.split('/').at(-1), `copy-${i}`);
  return { ...event, payload: { case: payload.case, value } };
}
