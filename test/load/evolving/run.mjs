#!/usr/bin/env node
/**
 * Does an evolved merge beat its parents and their uniform average? Per seed: phase cognate makes three founders of a text,
 * which share their first steps, then phase evomerge merges them; judged on the report split, which neither training nor
 * search has seen. Two of the founders learn the text only, the third one arithmetic most of the time.
 * Usage: node test/load/evolving/run.mjs --text FILE [--seeds 5] [--founders JSON] [--config JSON] [--out DIR]
 * Needs `pnpm build`. Founders are kept in DIR and used again. Prints one line per seed and the means with their 95 %
 * intervals over seeds; writes results.json and gain.svg into DIR.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FolderArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import { ArtifactRefSchema } from '@agentforge/contracts';
import { runPhase, StopFlag } from '@agentforge/phase-runtime/worker';
import { fromJson, toJson } from '@bufbuild/protobuf';
import { cognatePhase } from '../../../services/phase-cognate/dist/cognate.phase.js';
import { createFounders } from '../../../services/phase-cognate/dist/create-founders.js';
import { evolveMerge } from '../../../services/phase-evomerge/dist/evolve-merge.js';
import { evomergePhase } from '../../../services/phase-evomerge/dist/evomerge.phase.js';
import { meanInterval } from '../mean-interval.mjs';
import { gainFigure } from './gain-figure.mjs';

const FOUNDERS = {
  steps: 300,
  shared_steps: 180,
  batch_size: 8,
  specialisations: [
    { name: 'text' },
    { name: 'long', sequence_length: 256 },
    { name: 'arithmetic', arithmetic: 0.8 },
  ],
};
const SEARCH = { strategy: 'cma-es', generations: 10, population: 8, fitness_tokens: 16_384 };

const { values: options } = parseArgs({
  options: {
    text: { type: 'string' },
    seeds: { type: 'string', default: '5' },
    founders: { type: 'string', default: JSON.stringify(FOUNDERS) },
    config: { type: 'string', default: JSON.stringify(SEARCH) },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string' },
  },
});
if (!options.text) throw new Error('name a text (--text)');
const out = options.out ?? mkdtempSync(join(tmpdir(), 'forge-evolving-'));
mkdirSync(out, { recursive: true });
const directory = join(out, 'artifacts');
const store = await FolderArtifactStore.open({ directory });
const corpus = await store.put(readFileSync(options.text), {
  name: 'corpus',
  type: 'corpus',
  mediaType: MEDIA_TYPES.text,
});

/** Runs a phase in this process. */
async function resultOf(phase, work, { seed, config, inputs }) {
  const input = {
    ...{ phase: phase.name, version: phase.version, config: phase.config.parse(JSON.parse(config)) },
    ...{ seed: BigInt(seed), fallback: '', inputs, checkpointSequence: 0, checkpointIntervalMs: 600_000 },
    ...{ artifactDirectory: directory, device: 'cpu', threads: Number(options.threads) },
    stop: new StopFlag().buffer,
  };
  const last = await runPhase(input, work, () => {});
  if (last.kind !== 'succeeded') throw new Error(JSON.stringify(last));
  return last.result;
}

/** The founders of a seed. */
async function founders(seed) {
  const kind = createHash('sha256').update(options.founders).digest('hex').slice(0, 12);
  const known = join(out, `founders-${kind}-${seed}.json`);
  if (existsSync(known))
    return JSON.parse(readFileSync(known, 'utf8')).map((ref) => fromJson(ArtifactRefSchema, ref));
  const { outputs } = await resultOf(cognatePhase, createFounders, {
    seed,
    config: options.founders,
    inputs: [{ port: 'corpus', artifacts: [corpus] }],
  });
  const models = outputs.find(({ port }) => port === 'models').artifacts;
  writeFileSync(known, JSON.stringify(models.map((ref) => toJson(ArtifactRefSchema, ref))));
  return models;
}

/** Evolves a merge. @returns bits per byte by split and subject, and the outcome */
async function evolved(seed, models) {
  const { outcome, metrics, wallSeconds } = await resultOf(evomergePhase, evolveMerge, {
    seed,
    config: options.config,
    inputs: [
      { port: 'models', artifacts: models },
      { port: 'corpus', artifacts: [corpus] },
    ],
  });
  const bits = (split) =>
    Object.fromEntries(
      metrics
        .filter((one) => one.name === 'bits_per_byte' && one.split === split)
        .map((one) => [one.subject, one.value]),
    );
  const generations = metrics.find(({ name }) => name === 'generations').value;
  const parents = models.map(({ name }) => name);
  return {
    seed,
    outcome,
    generations,
    wallSeconds,
    parents,
    fitness: bits('fitness'),
    report: bits('report'),
  };
}

const results = [];
for (let seed = 1; seed <= Number(options.seeds); seed++) {
  const result = await evolved(seed, await founders(seed));
  results.push(result);
  const values = Object.entries(result.report).map(([name, value]) => `${name} ${value.toFixed(4)}`);
  console.log(
    `seed ${seed} ${result.outcome} after ${result.generations} generations, ${result.wallSeconds.toFixed(0)} s; report: ${values.join(', ')}`,
  );
  writeFileSync(join(out, 'results.json'), JSON.stringify({ options, results }, null, 1));
}
if (results.length > 1) {
  const rivals = [
    ['uniform average', (bits) => bits['uniform-average']],
    ['best parent', (bits, parents) => Math.min(...parents.map((name) => bits[name]))],
  ];
  const rows = rivals.map(([name, of]) => {
    const gains = results.map(({ report, parents }) => of(report, parents) - report.best);
    return { name, gains, ...meanInterval(gains) };
  });
  for (const { name, mean, low, high } of rows)
    console.log(
      `${name}: ${mean.toFixed(5)} bits per byte more, 95 % interval ${low.toFixed(5)} … ${high.toFixed(5)}`,
    );
  writeFileSync(join(out, 'gain.svg'), gainFigure(rows, 'Evolved merge of three founders'));
}
