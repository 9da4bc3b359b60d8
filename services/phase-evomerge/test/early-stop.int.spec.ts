import type { ArtifactRef } from '@agentforge/contracts';
import { digestsOfResumedWork, digestsOfWork, PhaseBench } from '@agentforge/phase-runtime/testing';
import { evomergeConfig } from '../src/domain/evomerge-config.js';
import { evolveMerge } from '../src/evolve-merge.js';
import { evomergePhase } from '../src/evomerge.phase.js';
import { putParents, putTasks, text, trainedWeights } from './parents.js';

/** Real searches, on machines that may be busy: ms. */
const SLOW = 240_000;

interface Report {
  readonly best: string;
  readonly metrics: readonly { readonly name: string; readonly value: number }[];
  readonly lineage: readonly {
    readonly id: string;
    readonly fitness: number;
    readonly measured: { readonly lossNats: number; readonly stoppedEarly?: { readonly tokens: number } };
  }[];
}

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

function searchWith(early_stop_margin: number, seed: bigint) {
  const config = evomergeConfig.parse({
    generations: 5,
    fitness_tokens: 4096,
    sequence_length: 32,
    plateau_generations: 10,
    early_stop_margin,
  });
  return { bench, work: evolveMerge, config, seed, inputs };
}

describe('early stop', () => {
  it.each([
    [1n, ''],
    [2n, ''],
    [1n, 'with tasks'],
  ])(
    'saves tokens and changes neither the winner nor what was measured of it: seed %p %s',
    async (seed, tasks) => {
      if (tasks) inputs.push({ port: 'tasks', artifacts: [await putTasks(bench.store)] });
      const [model, report = ''] = await digestsOfWork(searchWith(0.05, seed));
      const [fullModel, fullReport = ''] = await digestsOfWork(searchWith(0, seed));
      expect(model).toBe(fullModel);
      const stopping = (await bench.store.readJson(report)) as unknown as Report;
      const full = (await bench.store.readJson(fullReport)) as unknown as Report;
      expect(stopping.best).toBe(full.best);
      const stopped = stopping.lineage.filter(({ measured }) => measured.stoppedEarly);
      expect(stopped.length).toBeGreaterThan(0);
      for (const { id, fitness } of stopped) {
        expect(fitness).toBeLessThan(1);
        expect(full.lineage.find((one) => one.id === id)?.fitness).toBeLessThan(1);
      }
      const metric = (name: string) => stopping.metrics.find((one) => one.name === name)?.value;
      expect(metric('stopped_early')).toBe(stopped.length);
      expect(metric('fitness_tokens_saved')).toBeGreaterThan(0);
      expect(full.lineage.some(({ measured }) => measured.stoppedEarly)).toBe(false);
    },
    SLOW,
  );

  it(
    'stops the same candidates when the search is interrupted',
    async () => {
      const test = searchWith(0.05, 3n);
      const whole = await digestsOfWork(test);
      expect(await digestsOfResumedWork(test, 20)).toEqual(whole);
    },
    SLOW,
  );
});
