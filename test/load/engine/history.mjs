// How long the orchestrator and the front door take to start with many finished runs on record, and what memory they
// take: first replaying the whole log, then from snapshots.   node test/load/engine/history.mjs [--runs 100000]
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { PipelineService, RunEventBatchSchema, RunView } from '@agentforge/contracts';
import { attemptIdOf } from '@agentforge/events';
import { startNatsServer } from '@agentforge/events/testing';
import { createClient } from '@agentforge/service-kit';
import { create, toBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { ServiceProcess } from './service-process.mjs';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '100000' } } });
const runs = Number(values.runs);
const steps = ['a', 'b', 'c'];
const nameOf = (i) => `projects/p${i % 10}/runs/run-${i}`;

/** The batches of a finished run of three steps, as a busy engine commits them. */
function batchesOf(i) {
  const name = nameOf(i);
  const digest = `sha256:${i.toString(16).padStart(64, '0')}`;
  const artifact = {
    digest,
    type: 'model',
    name: `model ${i}`,
    mediaType: 'application/octet-stream',
    sizeBytes: 1_000n,
  };
  const labels = { team: i % 3 ? 'search' : 'ads', batch: String(i % 100) };
  const graph = {
    steps: steps.map((id, at) => ({ id, phase: 'noop', after: at ? [steps[at - 1]] : [], config: { n: i } })),
  };
  const ofStep = (stepId) => {
    const attemptId = attemptIdOf(name, stepId, 1);
    const outputs = stepId === 'c' ? [{ port: 'model', artifacts: [artifact] }] : [];
    return {
      begin: [
        { case: 'stepReady', value: { stepId } },
        { case: 'stepScheduled', value: { stepId, attemptId, number: 1, fencingToken: 1n } },
      ],
      started: { case: 'stepStarted', value: { stepId, attemptId, worker: 'worker-1' } },
      end: [
        { case: 'stepReported', value: { stepId, attemptId, result: { outcome: 'done', outputs } } },
        { case: 'stepCompleted', value: { stepId } },
      ],
    };
  };
  const [a, b, c] = steps.map(ofStep);
  const created = {
    case: 'runCreated',
    value: { displayName: `run ${i}`, labels, graph, requestId: `request-${i}` },
  };
  return [
    [created, ...a.begin],
    [a.started, ...a.end, ...b.begin],
    [b.started, ...b.end, ...c.begin],
    [c.started, ...c.end, { case: 'runCompleted', value: {} }],
  ];
}

/** Writes the runs as one writer that knows the next sequence: nobody else writes meanwhile. */
async function write(url) {
  const nats = await connect({ servers: url });
  const manager = await jetstreamManager(nats);
  let sequence = BigInt((await manager.streams.info('FORGE_RUNS')).state.last_seq);
  for (let i = 0; i < runs; i++) {
    const run = nameOf(i);
    const [, project, , id] = run.split('/');
    let previousRevision = 0n;
    for (const payloads of batchesOf(i)) {
      const events = payloads.map((payload) => ({ time: timestampNow(), actor: 'load', payload }));
      const batch = create(RunEventBatchSchema, { run, events, version: 1, previousRevision });
      nats.publish(`forge.runs.${project}.${id}`, toBinary(RunEventBatchSchema, batch));
      previousRevision = ++sequence;
    }
    if (i % 250 === 249 || i === runs - 1) await stored(manager, nats, sequence);
  }
  const { state } = await manager.streams.info('FORGE_RUNS');
  await nats.close();
  return { batches: state.messages, mib: Math.round(state.bytes / 2 ** 20) };
}

/** Waits until the stream has everything that was sent; what is published without an acknowledgement may be lost. */
async function stored(manager, nats, sequence) {
  await nats.flush();
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(2)) {
    const { last_seq } = (await manager.streams.info('FORGE_RUNS')).state;
    if (BigInt(last_seq) === sequence) return;
  }
  throw new Error(`the stream does not have ${sequence} messages: one was lost`);
}

async function measure(what, url) {
  const orchestrator = await ServiceProcess.start('orchestrator', { FORGE_NATS_URL: url });
  const engine = { startMs: orchestrator.startMs, ...(await orchestrator.memory()) };
  const frontDoor = await ServiceProcess.start('pipeline-controller', {
    FORGE_NATS_URL: url,
    FORGE_ORCHESTRATOR_ADDRESS: orchestrator.address,
  });
  const door = { startMs: frontDoor.startMs, ...(await frontDoor.memory()) };
  const client = createClient(PipelineService, frontDoor.address, { deadlineMs: 60_000 });
  const timed = async (call) => {
    const begun = performance.now();
    const answer = await call();
    return [Math.round(performance.now() - begun), answer];
  };
  const [listMs, { runs: page }] = await timed(() =>
    client.listRuns({ parent: 'projects/-', pageSize: 100 }),
  );
  const filter = 'labels.batch = "7" AND phase = noop';
  const [filterMs, { runs: found }] = await timed(() =>
    client.listRuns({ parent: 'projects/p7', pageSize: 100, filter }),
  );
  const name = nameOf(Math.floor(runs / 2));
  const [coldMs, { run }] = await timed(() => client.getRun({ name }));
  const [basicMs] = await timed(() => client.getRun({ name, view: RunView.BASIC }));
  if (page.length !== Math.min(100, runs) || found.length === 0 || run?.steps.length !== steps.length)
    throw new Error(`${what}: the front door does not show what was written`);
  client.close();
  await frontDoor.stop();
  await orchestrator.stop();
  return { what, orchestrator: engine, frontDoor: { ...door, listMs, filterMs, coldMs, basicMs } };
}

const nats = await startNatsServer();
try {
  // The services make the streams; then the log is filled while nobody runs.
  await (await ServiceProcess.start('orchestrator', { FORGE_NATS_URL: nats.url })).stop();
  const begun = performance.now();
  const written = await write(nats.url);
  const writeMs = Math.round(performance.now() - begun);
  const client = await connect({ servers: nats.url });
  await (await jetstreamManager(client)).streams.purge('KV_forge-snapshots');
  await client.close();
  const results = [
    await measure('replay of the whole log', nats.url),
    await measure('from snapshots', nats.url),
  ];
  process.stdout.write(`${JSON.stringify({ runs, ...written, writeMs, results }, undefined, 2)}\n`);
} finally {
  await nats.stop();
}
