#!/usr/bin/env node
/**
 * Does an evolved merge beat its parents and their uniform average? Per seed: three founders of a text, which share their
 * first steps, then phase evomerge on them; judged on the report split, which neither training nor search has seen.
 * Usage: node test/load/evolving/run.mjs --text FILE [--seeds 5] [--config JSON] [--width 64] [--out DIR]
 * Needs `pnpm build`. Founders are kept in DIR and used again. Prints one line per seed and the means with their 95 %
 * intervals over seeds; writes results.json and gain.svg into DIR.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FolderArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import { ArtifactRefSchema } from '@agentforge/contracts';
import {
  BatchCursor,
  byteTokenizer,
  corpusFromBytes,
  encodeModelFiles,
  encodeSplit,
  LlamaModel,
  presetConfig,
  splitDisjoint,
  trainStep,
} from '@agentforge/model';
import { runPhase, StopFlag } from '@agentforge/phase-runtime/worker';
import { AdamW, decayGroups, Philox, selectDevice, warmupCosine } from '@agentforge/tensor';
import { fromJson, toJson } from '@bufbuild/protobuf';
import { evomergeConfig } from '../../../services/phase-evomerge/dist/domain/evomerge-config.js';
import { evolveMerge } from '../../../services/phase-evomerge/dist/evolve-merge.js';
import { evomergePhase } from '../../../services/phase-evomerge/dist/evomerge.phase.js';
import { meanInterval } from '../mean-interval.mjs';
import { gainFigure } from './gain-figure.mjs';

const { values: options } = parseArgs({
  options: {
    text: { type: 'string' },
    seeds: { type: 'string', default: '5' },
    config: { type: 'string', default: '{}' },
    width: { type: 'string', default: '64' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string' },
  },
});
if (!options.text) throw new Error('name a text (--text)');
const out = options.out ?? mkdtempSync(join(tmpdir(), 'forge-evolving-'));
mkdirSync(out, { recursive: true });
const threads = Number(options.threads);
const width = Number(options.width);
const shape = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: width,
  numLayers: 3,
  numHeads: 2,
  numKvHeads: 1,
  headDim: width / 2,
  intermediateSize: 2 * width,
  contextLength: 64,
});
const [STEPS, SHARED, PEAK, LENGTH] = [400, 240, 3e-3, 64];
const PARENTS = ['a', 'b', 'c'];

selectDevice('cpu', { threads });
const directory = join(out, 'artifacts');
const store = await FolderArtifactStore.open({ directory });
const bytes = readFileSync(options.text);
const corpus = await store.put(bytes, { name: 'corpus', type: 'corpus', mediaType: MEDIA_TYPES.text });

/** Trains a model from `step` on; returns its weights and the state of its optimizer. */
function trained(model, state, stream, from, to, seed) {
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: PEAK, betas: [0.9, 0.95] });
  if (state) optimizer.importState(state);
  const schedule = warmupCosine({ peak: PEAK, floor: PEAK / 10, warmupSteps: 30, totalSteps: STEPS });
  const batches = new BatchCursor([{ name: 'corpus', stream }], { batchSize: 8, length: LENGTH, seed });
  for (let step = from; step < to; step++)
    trainStep(model, optimizer, batches.next(), { lr: schedule(step) });
  const result = { weights: model.exportWeights(), state: optimizer.exportState() };
  optimizer.dispose();
  model.dispose();
  return result;
}

/** Three founders of a seed. */
async function founders(seed) {
  const known = join(out, `founders-${seed}-${width}.json`);
  if (existsSync(known))
    return JSON.parse(readFileSync(known, 'utf8')).map((ref) => fromJson(ArtifactRefSchema, ref));
  const { splits } = splitDisjoint(corpusFromBytes([{ name: 'corpus-0.txt', bytes }]));
  const stream = encodeSplit(byteTokenizer(), splits.train);
  const rng = new Philox(seed);
  const first = LlamaModel.init(shape, rng.stream('init'));
  const shared = trained(first, null, stream, 0, SHARED, rng.stream('shared'));
  const refs = [];
  for (const name of PARENTS) {
    const model = LlamaModel.fromState(shape, shared.weights);
    const { weights } = trained(model, shared.state, stream, SHARED, STEPS, rng.stream(name));
    const files = [];
    for (const [path, content] of encodeModelFiles({ config: shape, weights }, byteTokenizer())) {
      const { digest, sizeBytes } = await store.put(content);
      files.push({ path, digest, sizeBytes });
    }
    refs.push(await store.putManifest({ files }, { name, type: 'model', mediaType: MEDIA_TYPES.model }));
  }
  writeFileSync(known, JSON.stringify(refs.map((ref) => toJson(ArtifactRefSchema, ref))));
  return refs;
}

/** Runs the phase. @returns bits per byte by split and subject, and the outcome */
async function evolved(seed, models) {
  const config = evomergeConfig.parse({ sequence_length: LENGTH, ...JSON.parse(options.config) });
  const input = {
    ...{ phase: 'evomerge', version: evomergePhase.version, config, seed: BigInt(seed), fallback: '' },
    inputs: [
      { port: 'models', artifacts: models },
      { port: 'corpus', artifacts: [corpus] },
    ],
    ...{ checkpointSequence: 0, checkpointIntervalMs: 600_000, artifactDirectory: directory },
    ...{ device: 'cpu', threads, stop: new StopFlag().buffer },
  };
  const last = await runPhase(input, evolveMerge, () => {});
  if (last.kind !== 'succeeded') throw new Error(JSON.stringify(last));
  const { outcome, metrics, wallSeconds } = last.result;
  const bits = (split) =>
    Object.fromEntries(
      metrics
        .filter((one) => one.name === 'bits_per_byte' && one.split === split)
        .map((one) => [one.subject, one.value]),
    );
  const generations = metrics.find(({ name }) => name === 'generations').value;
  return { seed, outcome, generations, wallSeconds, fitness: bits('fitness'), report: bits('report') };
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
    ['best parent', (bits) => Math.min(...PARENTS.map((name) => bits[name]))],
  ];
  const rows = rivals.map(([name, of]) => {
    const gains = results.map(({ report }) => of(report) - report.best);
    return { name, gains, ...meanInterval(gains) };
  });
  for (const { name, mean, low, high } of rows)
    console.log(
      `${name}: ${mean.toFixed(5)} bits per byte more, 95 % interval ${low.toFixed(5)} … ${high.toFixed(5)}`,
    );
  writeFileSync(join(out, 'gain.svg'), gainFigure(rows, 'Evolved merge of three founders'));
}
