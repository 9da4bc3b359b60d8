#!/usr/bin/env node
/**
 * Do thoughts beat pauses? Trains a model on generated problems, or on a text, then runs phase quietstar on it with several seeds.
 * Usage: node test/load/thinking/run.mjs --out DIR [--problems sum|chain] [--text FILE] [--shape small|pico] [--seeds 1,2,3,4,5]
 *   [--worked SHARE] [--pretrain STEPS:LEARNING_RATE,…] [--tasks 300] [--config JSON]
 * Needs `pnpm build`; FORGE_THREADS says with how many threads. Prints one line per seed; writes seed-N.json of each, and of all that
 * are there results.json and gain.svg into DIR; the model it began with, and the last one that learnt to think. Seeds whose file is
 * there already are not run again, so that a long measurement can be made in pieces, or by several processes.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FolderArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import { runPhase, StopFlag } from '@agentforge/phase-runtime/worker';
import { backendInfo } from '@agentforge/tensor';
import { quietstarConfig } from '../../../services/phase-quietstar/dist/domain/quietstar-config.js';
import { learnToThink } from '../../../services/phase-quietstar/dist/learn-to-think.js';
import { meanInterval } from '../mean-interval.mjs';
import { gainFigure } from './gain-figure.mjs';
import { pretrained, SHAPES } from './pretrained.mjs';
import { problemSet } from './problems.mjs';

const { values: options } = parseArgs({
  options: {
    problems: { type: 'string', default: 'chain' },
    worked: { type: 'string', default: '0.8' },
    text: { type: 'string' },
    shape: { type: 'string', default: 'small' },
    seeds: { type: 'string', default: '1,2,3,4,5' },
    pretrain: { type: 'string', default: '2500:0.004,1200:0.003' },
    tasks: { type: 'string', default: '300' },
    config: { type: 'string', default: '{}' },
    out: { type: 'string' },
  },
});
if (options.out === undefined) throw new Error('--out DIR: where the results go');

const seeds = options.seeds.split(',').filter(Boolean).map(Number);
const rounds = options.pretrain.split(',').map((round) => {
  const [steps, peak] = round.split(':').map(Number);
  return { steps, peak };
});
const what = options.text
  ? 'a text'
  : { chain: 'chains modulo 5', sum: 'sums of three digits' }[options.problems];
const set = options.text
  ? await readFile(options.text, 'utf8').then((text) => ({ lesson: text, text, tasks: null }))
  : problemSet(options.problems, 1, {
      lines: 20_000,
      worked: Number(options.worked),
      tasks: Number(options.tasks),
    });
const config = quietstarConfig.parse({
  first_thought_length: 12,
  steps: 60,
  warmup_steps: 10,
  sequence_length: 64,
  batch_size: 2,
  micro_batch: 2,
  eval_interval: 10,
  eval_tokens: 257,
  report_tokens: 513,
  checkpoint_interval_s: 30,
  ...JSON.parse(options.config),
});

/** What the phase reported, as one entry of the results. */
async function measured(seed, store, inputs, directory) {
  const started = performance.now();
  const points = [];
  const last = await runPhase(
    {
      phase: 'quietstar',
      version: '1.0.0',
      config,
      seed: BigInt(seed),
      fallback: '',
      inputs,
      checkpoint: undefined,
      checkpointSequence: 0,
      checkpointIntervalMs: 1e9,
      artifactDirectory: directory,
      device: 'cpu',
      threads: backendInfo().threads,
      stop: new StopFlag().buffer,
    },
    learnToThink,
    (progress) => points.push(...(progress.points ?? [])),
  );
  if (last.kind !== 'succeeded') throw new Error(JSON.stringify(last));
  const { outcome, metrics, outputs } = last.result;
  if (outcome === 'improved') await keep(store, outputs.find(({ port }) => port === 'model').artifacts[0]);
  const of = (name, subject = '') => metrics.find((m) => m.name === name && m.subject === subject)?.value;
  const series = (name, subject) => points.filter((one) => one.series === name && one.subject === subject);
  const [thoughts, pause] = ['thoughts', 'pause'].map((arm) => series('loss/fitness', arm));
  const [score, loss] = set.tasks ? ['task_accuracy', 'answer_loss'] : ['accuracy', 'loss'];
  const bySubject = (name) =>
    Object.fromEntries(
      ['input', 'thoughts', 'thoughts-removed', 'pause'].map((subject) => [subject, of(name, subject)]),
    );
  return {
    name: `seed ${seed}`,
    seed,
    outcome,
    gain: of('gain'),
    gainLow: of('gain_low'),
    gainHigh: of('gain_high'),
    ablation: of('ablation'),
    coherence: of('coherence_correlation') ?? null,
    plainShare: series('plain_share', 'thoughts').at(-1)?.value,
    accuracy: bySubject(score),
    loss: bySubject(loss),
    seconds: Math.round((performance.now() - started) / 1000),
    curves: {
      gain: thoughts.map(({ step, value }, i) => [step, pause[i].value - value]),
      reward: series('reward', 'thoughts').map(({ step, value }) => [step, value]),
    },
  };
}

/** Puts a model that thinks where the command line can load it. */
async function keep(store, { digest }) {
  const to = join(options.out, 'thinking');
  await mkdir(to, { recursive: true });
  for (const { path } of (await store.getManifest(digest)).files)
    await writeFile(join(to, path), await store.readFile(digest, path));
}

async function putModel(store, files) {
  const listed = [];
  for (const [path, bytes] of files) {
    const { digest, sizeBytes } = await store.put(bytes);
    listed.push({ path, digest, sizeBytes });
  }
  return store.putManifest(
    { files: listed },
    { name: 'pretrained', type: 'model', mediaType: MEDIA_TYPES.model },
  );
}

/** What is known of each seed, in their order. A file of its own per seed: several processes can share the work. */
async function known() {
  const names = (await readdir(options.out)).filter((name) => /^seed-\d+\.json$/.test(name));
  const found = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(options.out, name), 'utf8'))),
  );
  for (const [i, one] of found.entries()) {
    if (one.what === what && JSON.stringify(one.config) === JSON.stringify(config)) continue;
    throw new Error(`${names[i]} is of another measurement`);
  }
  return found.map(({ run }) => run).sort((a, b) => a.seed - b.seed);
}

/** All seeds that are known as one table and one figure. */
async function conclude() {
  const runs = await known();
  const gain = meanInterval(runs.map((run) => run.gain));
  const results = { what, config, gain, runs: runs.map(({ curves, ...figures }) => figures) };
  await writeFile(join(options.out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  await writeFile(join(options.out, 'gain.svg'), gainFigure(runs, gain, `Thoughts against pauses: ${what}`));
}

const directory = await mkdtemp(join(tmpdir(), 'forge-thinking-'));
try {
  await mkdir(options.out, { recursive: true });
  const done = new Set((await known()).map((run) => run.seed));
  const store = await FolderArtifactStore.open({ directory });
  const files = await pretrained(join(options.out, 'model'), {
    shape: SHAPES[options.shape],
    text: set.lesson,
    rounds,
  });
  const put = (name, type, mediaType, text) =>
    store.put(new TextEncoder().encode(text), { name, type, mediaType });
  const inputs = [
    { port: 'model', artifacts: [await putModel(store, files)] },
    { port: 'corpus', artifacts: [await put('corpus', 'corpus', MEDIA_TYPES.text, set.text)] },
  ];
  if (set.tasks) {
    inputs.push({ port: 'tasks', artifacts: [await put('tasks', 'tasks', MEDIA_TYPES.jsonl, set.tasks)] });
  }
  for (const seed of seeds.filter((one) => !done.has(one))) {
    const run = await measured(seed, store, inputs, directory);
    await writeFile(
      join(options.out, `seed-${seed}.json`),
      `${JSON.stringify({ what, config, run }, null, 1)}\n`,
    );
    const { curves, ...figures } = run;
    console.log(JSON.stringify(figures));
    await conclude();
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
