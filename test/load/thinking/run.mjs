#!/usr/bin/env node
/**
 * Do thoughts beat pauses? Trains a small model on generated problems, then runs phase quietstar on it with several seeds.
 * Usage: node test/load/thinking/run.mjs [--problems sum|chain] [--text FILE] [--seeds 5] [--steps 120] [--new-lr 1] [--out DIR]
 * Needs `pnpm build`. Prints one line per seed; writes results.json and gain.svg into DIR.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FolderArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
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
import { quietstarConfig } from '../../../services/phase-quietstar/dist/domain/quietstar-config.js';
import { learnToThink } from '../../../services/phase-quietstar/dist/learn-to-think.js';
import { gainFigure } from './gain-figure.mjs';
import { problemSet } from './problems.mjs';

const { values: options } = parseArgs({
  options: {
    problems: { type: 'string', default: 'sum' },
    text: { type: 'string' },
    seeds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '120' },
    pretrain: { type: 'string', default: '2000' },
    thought: { type: 'string', default: '4' },
    'new-lr': { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});

const SHAPE = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 64,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 2,
  headDim: 32,
  intermediateSize: 128,
  contextLength: 64,
});
const LENGTH = 32;

/** Trains the model that is to think, on the train split. */
function pretrained(text, steps) {
  const { splits } = splitDisjoint(corpusFromBytes([{ name: 'corpus.txt', bytes: Buffer.from(text) }]));
  const stream = encodeSplit(byteTokenizer(), splits.train);
  const rng = new Philox(1);
  const model = LlamaModel.init(SHAPE, rng.stream('init'));
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 2e-3, betas: [0.9, 0.95] });
  const schedule = warmupCosine({ peak: 2e-3, floor: 2e-4, warmupSteps: 50, totalSteps: steps });
  const batches = new BatchCursor([{ name: 'corpus', stream }], { batchSize: 16, length: LENGTH, seed: rng });
  let loss = 0;
  for (let step = 0; step < steps; step++)
    loss = trainStep(model, optimizer, batches.next(), { lr: schedule(step) }).loss;
  const files = encodeModelFiles(model, byteTokenizer());
  optimizer.dispose();
  model.dispose();
  return { files, loss };
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

const directory = await mkdtemp(join(tmpdir(), 'forge-thinking-'));
try {
  selectDevice('cpu', { threads: availableParallelism() });
  const set = options.text
    ? { text: await readFile(options.text, 'utf8'), tasks: null }
    : problemSet(options.problems, 1);
  const store = await FolderArtifactStore.open({ directory });
  const { files, loss } = pretrained(set.text, Number(options.pretrain));
  console.log(`input model: ${options.pretrain} steps, last loss ${loss.toFixed(3)} nats/token`);
  const put = (name, type, mediaType, text) =>
    store.put(new TextEncoder().encode(text), { name, type, mediaType });
  const inputs = [
    { port: 'model', artifacts: [await putModel(store, files)] },
    { port: 'corpus', artifacts: [await put('corpus', 'corpus', MEDIA_TYPES.text, set.text)] },
  ];
  if (set.tasks) {
    inputs.push({ port: 'tasks', artifacts: [await put('tasks', 'tasks', MEDIA_TYPES.jsonl, set.tasks)] });
  }
  const config = quietstarConfig.parse({
    thought_length: Number(options.thought),
    ahead: 2,
    new_lr_scale: Number(options['new-lr']),
    steps: Number(options.steps),
    sequence_length: LENGTH,
    batch_size: 4,
    micro_batch: 4,
    eval_interval: 60,
    eval_tokens: 512,
    report_tokens: 2048,
  });
  const runs = [];
  for (let seed = 1; seed <= Number(options.seeds); seed++) {
    const started = performance.now();
    let plainShare = Number.NaN;
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
        threads: availableParallelism(),
        stop: new StopFlag().buffer,
      },
      learnToThink,
      ({ points = [] }) => {
        for (const { series, subject, value } of points)
          if (series === 'plain_share' && subject === 'thoughts') plainShare = value;
      },
    );
    if (last.kind !== 'succeeded') throw new Error(JSON.stringify(last));
    const { outcome, metrics } = last.result;
    const of = (name, subject = '') => metrics.find((m) => m.name === name && m.subject === subject)?.value;
    const score = set.tasks ? 'task_accuracy' : 'accuracy';
    const run = {
      name: `seed ${seed}`,
      outcome,
      gain: of('gain'),
      gainLow: of('gain_low'),
      gainHigh: of('gain_high'),
      ablation: of('ablation'),
      coherence: of('coherence_correlation') ?? null,
      plainShare,
      accuracy: Object.fromEntries(
        ['input', 'thoughts', 'thoughts-removed', 'pause'].map((subject) => [subject, of(score, subject)]),
      ),
      seconds: Math.round((performance.now() - started) / 1000),
    };
    runs.push(run);
    console.log(JSON.stringify(run));
    if (options.out) {
      await mkdir(options.out, { recursive: true });
      const what = options.text ? 'text' : options.problems;
      await writeFile(
        join(options.out, 'results.json'),
        `${JSON.stringify({ what, config, runs }, null, 1)}\n`,
      );
      await writeFile(join(options.out, 'gain.svg'), gainFigure(runs, `Thoughts against pauses: ${what}`));
    }
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
