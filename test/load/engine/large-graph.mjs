// A graph of many steps, from the request to its end, on real services: accepted, executed, paged and watched, with the
// memory of both services.   node test/load/engine/large-graph.mjs [--steps 10000] [--watchers 100] [--config-bytes 500]
import { parseArgs } from 'node:util';
import { PhaseDescriptorSchema, PipelineService, RunState, RunView } from '@agentforge/contracts';
import { connectForTest, startNatsServer } from '@agentforge/events/testing';
import { createClient } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { startFastWorker } from './fast-worker.mjs';
import { ServiceProcess } from './service-process.mjs';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '10000' },
    watchers: { type: 'string', default: '100' },
    'config-bytes': { type: 'string', default: '500' },
  },
});
const count = Number(values.steps);
const watcherCount = Number(values.watchers);
/** Layers of 100 steps: each step waits for two of the layer before, and the last one for the whole last layer. */
const graph = {
  maxParallelSteps: 64,
  steps: Array.from({ length: count }, (_, i) => {
    const last = i === count - 1 && count > 100;
    const before = (at) => `s${Math.max(0, i - 100 - (i % 100) + (at % 100))}`;
    const after = last
      ? Array.from({ length: 99 }, (_, j) => `s${i - 1 - j}`)
      : i < 100
        ? []
        : [...new Set([before(i), before(i + 1)])];
    return {
      id: `s${i}`,
      phase: 'noop',
      after,
      config: { text: 'x'.repeat(Number(values['config-bytes'])) },
    };
  }),
};
const ms = (from) => Math.round(performance.now() - from);
const percentile = (list, p) =>
  Math.round(list.toSorted((a, b) => a - b)[Math.ceil(list.length * p) - 1] ?? 0);

async function listAll(client, parent, pages) {
  let steps = 0;
  for (let pageToken = ''; ; ) {
    const begun = performance.now();
    const page = await client.listSteps({ parent, pageSize: 1_000, pageToken });
    pages.push(performance.now() - begun);
    steps += page.steps.length;
    pageToken = page.nextPageToken;
    if (pageToken === '') return steps;
  }
}

const nats = await startNatsServer();
const events = await connectForTest(nats.url);
const configSchema = { type: 'object', properties: { text: { type: 'string' } } };
await events.phases.put(create(PhaseDescriptorSchema, { name: 'noop', version: '1', configSchema }));
const env = { FORGE_NATS_URL: nats.url, FORGE_MAX_CONCURRENT_CALLS: '2000' };
const orchestrator = await ServiceProcess.start('orchestrator', env);
const frontDoor = await ServiceProcess.start('pipeline-controller', {
  ...env,
  FORGE_ORCHESTRATOR_ADDRESS: orchestrator.address,
});
const client = createClient(PipelineService, frontDoor.address, {
  deadlineMs: 120_000,
  maxMessageBytes: 16 * 2 ** 20,
});
const memory = async () => ({
  orchestrator: await orchestrator.memory(),
  frontDoor: await frontDoor.memory(),
});
const end = new AbortController();
try {
  const result = { steps: count, watchers: watcherCount, before: await memory() };
  let begun = performance.now();
  const { run: accepted } = await client.createRun({ parent: 'projects/load', runId: 'large', graph });
  result.acceptedMs = ms(begun);
  const { name } = accepted;
  result.accepted = await memory();
  const seen = Array.from({ length: watcherCount }, () => 0);
  const watching = seen.map(async (_, i) => {
    for await (const { update } of client.watchRun({ name }, { signal: end.signal, deadlineMs: 600_000 }))
      if (update.case === 'event') seen[i]++;
  });
  // One more that reads a single message and then nothing.
  const sleeper = client
    .watchRun({ name }, { signal: end.signal, deadlineMs: 600_000 })
    [Symbol.asyncIterator]();
  await sleeper.next();
  result.watched = await memory();
  begun = performance.now();
  const worker = await startFastWorker(events, 'noop');
  const pages = [];
  for (;;) {
    const { run } = await client.getRun({ name, view: RunView.BASIC });
    if (run.state === RunState.COMPLETED) break;
    if (run.state !== RunState.RUNNING && run.state !== RunState.PENDING)
      throw new Error(`it is ${RunState[run.state]}`);
    if ((await listAll(client, name, pages)) !== count) throw new Error('a page is missing');
  }
  result.executedMs = ms(begun);
  result.stepsPerSecond = Math.round((count / result.executedMs) * 1_000);
  await Promise.all(watching);
  result.watchersDoneMs = ms(begun);
  result.eventsPerWatcher = [Math.min(...seen), Math.max(...seen)];
  result.executed = await memory();
  await listAll(client, name, pages);
  result.pageMs = {
    pages: pages.length,
    p50: percentile(pages, 0.5),
    p99: percentile(pages, 0.99),
    max: percentile(pages, 1),
  };
  begun = performance.now();
  const { run: full } = await client.getRun({ name });
  result.getRunFull = { ms: ms(begun), steps: full.steps.length, stepCount: full.stepCount };
  end.abort();
  await worker.stop();
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
} finally {
  end.abort();
  client.close();
  await frontDoor.stop('SIGKILL');
  await orchestrator.stop('SIGKILL');
  await events.close();
  await nats.stop();
}
