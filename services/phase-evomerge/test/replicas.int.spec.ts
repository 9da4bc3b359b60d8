import { availableParallelism } from 'node:os';
import type { ArtifactRef } from '@agentforge/contracts';
import { metricOf, PhaseBench, startedBy } from '@agentforge/phase-runtime/testing';
import { runPhase, runSubtask, StopFlag, type WorkerMessage } from '@agentforge/phase-runtime/worker';
import type { RunningService } from '@agentforge/service-kit';
import { evomergeConfig } from '../src/domain/evomerge-config.js';
import { GENOME_OPERATORS } from '../src/domain/recipe.js';
import { measureSubtask } from '../src/evaluation/measure-subtask.js';
import { evolveMerge } from '../src/evolve-merge.js';
import { evomergePhase } from '../src/evomerge.phase.js';
import { putParents, putTasks, text, trainedWeights } from './parents.js';

/** Real searches, on machines that may be busy: ms. */
const SLOW = 240_000;

const MAIN = new URL('../dist/main.js', import.meta.url);

const CONFIG = {
  generations: 4,
  fitness_tokens: 8192,
  sequence_length: 32,
  plateau_generations: 100,
  checkpoint_interval_s: 1,
};

/** Long enough for a process to be killed meanwhile. */
const GENERATIONS = 8;

const trained = trainedWeights();
let bench: PhaseBench;
let inputs: { port: string; artifacts: ArtifactRef[] }[];

beforeEach(async () => {
  bench = await PhaseBench.open(evomergePhase);
  inputs = [
    { port: 'models', artifacts: await putParents(bench.store, trained) },
    { port: 'corpus', artifacts: [await bench.putCorpus(text())] },
  ];
});

afterEach(async () => {
  await bench.close();
});

const submit = (generations = CONFIG.generations) =>
  bench.submit({ ...CONFIG, generations }, { seed: 3n, inputs });

const subtasks = (service: RunningService, kind: string) =>
  metricOf(service, 'forge_subtasks_total', { kind, outcome: 'ok' });

/** The search in this thread; `helps` has every other subtask computed as a helper does it. */
async function search(helps: boolean): Promise<string[]> {
  const fields = {
    config: evomergeConfig.parse({ ...CONFIG, operators: [...GENOME_OPERATORS] }),
    seed: 3n,
    inputs: [...inputs, { port: 'tasks', artifacts: [await putTasks(bench.store)] }],
    artifactDirectory: bench.directory,
    device: 'cpu' as const,
    threads: availableParallelism(),
  };
  const open: { batch: number; index: number; json: string }[] = [];
  let helped = 0;
  const send = (message: WorkerMessage) => {
    if (message.kind === 'spread')
      for (const [index, { json }] of message.subtasks.entries())
        open.push({ batch: message.batch, index, json });
    if (message.kind === 'refused') throw new Error(`answer ${message.index} was refused`);
  };
  const next = async () => {
    const { batch, index, json } = open.pop() as (typeof open)[number];
    if (index % 2 === 0) return { kind: 'compute' as const, batch, index };
    const end = await runSubtask({ ...fields, stop: new StopFlag().buffer, json }, measureSubtask);
    if (end.kind !== 'computed') throw new Error(JSON.stringify(end));
    helped += 1;
    return { kind: 'answer' as const, batch, index, json: end.json };
  };
  const input = {
    ...fields,
    phase: evomergePhase.name,
    version: evomergePhase.version,
    fallback: '',
    checkpoint: undefined,
    checkpointSequence: 0,
    checkpointIntervalMs: 60_000,
    stop: new StopFlag().buffer,
  };
  const last = await runPhase(input, evolveMerge, send, helps ? { next } : undefined);
  if (last.kind !== 'succeeded') throw new Error(JSON.stringify(last));
  expect(helped > 10).toBe(helps);
  return last.result.outputs.flatMap(({ artifacts }) => artifacts.map(({ digest }) => digest));
}

describe('replicas of phase-evomerge', () => {
  it(
    'measure what the own thread of the search measures, to the bit',
    async () => {
      expect(await search(true)).toEqual(await search(false));
    },
    SLOW,
  );

  it(
    'share the measuring of a search that ends with the same digests as on one alone',
    async () => {
      const first = await bench.startService();
      const alone = await bench.digests(await submit());
      expect(await subtasks(first, 'other')).toBe(0);
      const second = await bench.startService();
      const helped = async () => (await subtasks(first, 'helped')) + (await subtasks(second, 'helped'));
      // A machine that has much to do may get its second thread late.
      while ((await helped()) < 4) expect(await bench.digests(await submit())).toEqual(alone);
    },
    SLOW,
  );

  it(
    'lose nothing when the one that helps is killed',
    async () => {
      const child = bench.startProcess(MAIN);
      await bench.result(await submit(0));
      const owner = await bench.startService();
      const task = await startedBy(owner, bench, () => submit(GENERATIONS));
      while ((await subtasks(owner, 'other')) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      child.kill('SIGKILL');
      const digests = await bench.digests(task);
      expect(await bench.digests(await submit(GENERATIONS))).toEqual(digests);
    },
    SLOW,
  );
});
