// A worker of the phase `instant` that answers at once, and a user who makes runs for it: what is left is the engine.
import { setTimeout as sleep } from 'node:timers/promises';
import { PhaseDescriptorSchema, PipelineService, StepReportSchema } from '@agentforge/contracts';
import { connectEvents } from '@agentforge/events';
import { createClient } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { chain, lanes } from './graphs.mjs';
import { serve } from './remote.mjs';
import { Samples } from './samples.mjs';

const PROJECT = 'projects/bench';
const PHASE = 'instant';
/** Wait after a refusal for too many runs, ms. */
const REFUSED_MS = 100;

let events;
let pipeline;
let workMs = 0;
let steps = 0;
let runs = 0;
let refused = 0;
/** When the last step of a run was reported, by run; while chains are measured. */
let endOf;
let overheads = new Samples();
/** Called with the name of a run whose last step was done. */
let onLast = () => undefined;
let isLoading = false;
/** Why a run of the load could not be made: the load was less than it should have been. */
let failure;
/** Creations under way. */
const launches = new Set();

async function handle({ task, delivery }) {
  const end = endOf?.get(task.run);
  if (end !== undefined) overheads.add(performance.now() - end);
  const { run, stepId, attemptId, fencingToken } = task;
  const identity = { run, stepId, attemptId, fencingToken, worker: `fast-${process.pid}` };
  const report = (payload) =>
    events.reports.publish(
      PHASE,
      create(StepReportSchema, { ...identity, time: timestampNow(), payload }),
      delivery,
    );
  const started = report({ case: 'started', value: { delivery } });
  if (workMs > 0) await sleep(workMs);
  endOf?.set(run, performance.now());
  await Promise.all([started, report({ case: 'succeeded', value: { result: { outcome: 'done' } } })]);
  steps++;
  if (stepId === 'last') {
    runs++;
    onLast(run);
  }
}

/** @param isWanted  whether to ask again after a refusal */
async function createRun(graph, isWanted = () => true) {
  while (isWanted()) {
    try {
      const { run } = await pipeline.createRun({ parent: PROJECT, graph });
      return run.name;
    } catch (error) {
      if (error.code !== 'RESOURCE_EXHAUSTED') throw error;
      refused++;
      await sleep(REFUSED_MS);
    }
  }
}

/** Waits until no run is in a state. */
async function untilNone(state, timeoutMs) {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(50)) {
    const page = await pipeline.listRuns({ parent: PROJECT, pageSize: 1, filter: `state = "${state}"` });
    if (page.runs.length === 0) return;
    if (performance.now() > deadline) throw new Error(`${page.runs[0].name} is ${state} and stays so`);
  }
}

serve({
  async start({ server, natsUrl, concurrency }) {
    pipeline = createClient(PipelineService, server, { deadlineMs: 60_000 });
    events = await connectEvents({ servers: natsUrl, name: 'bench' });
    await events.phases.put(
      create(PhaseDescriptorSchema, {
        name: PHASE,
        version: '1.0.0',
        summary: 'Answers at once.',
        configSchema: { type: 'object', properties: {}, additionalProperties: false },
        startToClose: durationFromMs(600_000),
      }),
    );
    await events.tasks.consume(PHASE, handle, { concurrency, ackWaitMs: 8_000 });
  },

  /** Lets every step take this long. */
  async pace({ ms }) {
    workMs = ms;
  },

  /**
   * Times between the report of a step and the arrival of the next one, over a chain.
   * @returns ms, one per edge
   */
  async chain({ length, timeoutMs }) {
    endOf = new Map();
    overheads = new Samples();
    await createRun(chain(PHASE, length));
    for (const deadline = performance.now() + timeoutMs; overheads.count < length - 1; await sleep(20))
      if (performance.now() > deadline)
        throw new Error(`${overheads.count} of ${length - 1} edges of the chain within ${timeoutMs} ms`);
    endOf = undefined;
    return overheads.values().slice();
  },

  /** Makes one run. */
  async create({ graph }) {
    return { name: await createRun(graph) };
  },

  /** Keeps a number of runs going: a new one for each that is done. */
  async load({ outstanding, lanes: width, depth }) {
    const graph = lanes(PHASE, width, depth);
    const launch = () => {
      if (!isLoading) return;
      const creation = createRun(graph, () => isLoading).catch((error) => {
        failure ??= error;
      });
      launches.add(creation);
      creation.finally(() => launches.delete(creation));
    };
    isLoading = true;
    failure = undefined;
    onLast = launch;
    for (let i = 0; i < outstanding; i++) launch();
  },

  /** Makes no further runs and waits until all have ended well. */
  async unload() {
    isLoading = false;
    await Promise.all(launches);
    for (const state of ['PENDING', 'RUNNING']) await untilNone(state, 60_000);
    await untilNone('FAILED', 0);
    if (failure) throw new Error(`a run could not be made: ${failure.message}`);
  },

  /** Steps and runs that were done so far, and when this was counted. */
  async count() {
    return { steps, runs, refused, atMs: performance.now() };
  },
});
