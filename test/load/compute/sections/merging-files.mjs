// `forge merge` beside `mergekit-yaml`: the same recipe and checkpoints, from the start of the command to its end.
import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  createReadStream,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alone, compared, median } from '../figures.mjs';

const beside = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const FORGE = beside('../../../packages/cli/bin/forge.mjs');
const MODELS = ['base', 'a', 'b', 'c'];

const tuned = (parameters) =>
  MODELS.slice(1).map((model, i) => ({ model, parameters: { weight: 0.5 - i / 10, ...parameters } }));
const plain = MODELS.slice(1).map((model) => ({ model }));
const sparse = (merge_method) => ({ merge_method, base_model: 'base', models: tuned({ density: 0.6 }) });

/** Recipes are JSON, which is YAML. */
const RECIPES = {
  linear: { merge_method: 'linear', models: tuned({}) },
  slerp: {
    merge_method: 'slerp',
    base_model: 'a',
    models: [{ model: 'a' }, { model: 'b' }],
    parameters: { t: 0.4 },
  },
  karcher: { merge_method: 'karcher', models: plain },
  model_stock: { merge_method: 'model_stock', base_model: 'base', models: plain },
  task_arithmetic: { merge_method: 'task_arithmetic', base_model: 'base', models: tuned({}) },
  ties: sparse('ties'),
  dare_ties: sparse('dare_ties'),
  breadcrumbs: sparse('breadcrumbs'),
  della: sparse('della'),
};

/** Runs a command to its end; what it wrote, and the seconds it took with its start. */
function timed(command, args, cwd) {
  return new Promise((done, fail) => {
    const started = performance.now();
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    child.on('error', fail);
    child.on('close', (code) => {
      const seconds = (performance.now() - started) / 1000;
      if (code === 0) done({ out, err, wall: seconds });
      else fail(new Error(`${command} ${args.join(' ')} ended with ${code}: ${err.slice(-2000)}`));
    });
  });
}

/** Seconds in which the machine copies a file and has it on disk. */
function copied(from, to) {
  const started = performance.now();
  copyFileSync(from, to);
  const file = openSync(to, 'r+');
  fsyncSync(file);
  closeSync(file);
  return (performance.now() - started) / 1000;
}

export async function run({ threads, mergekit, rounds, methods, checkpoints, machine, record, say }) {
  if (mergekit === undefined) return;
  const work = mkdtempSync(join(tmpdir(), 'bench-merge-'));
  const models = checkpoints === undefined ? work : resolve(checkpoints);
  try {
    await timed(process.execPath, [beside('merging-checkpoints.mjs'), models]);
    machine.peers.mergekitFlags = `--num-threads ${threads} --async-write --write-threads ${threads} --lazy-unpickle --no-write-model-card`;
    for (const [method, recipe] of Object.entries(RECIPES)) {
      if (methods !== undefined && !methods.split(',').includes(method)) continue;
      await measure(method, recipe);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }

  async function measure(method, recipe) {
    const names = [...new Set([recipe.base_model, ...recipe.models.map(({ model }) => model)])].filter(
      Boolean,
    );
    const weights = (name) => join(models, name, 'model.safetensors');
    const file = join(work, `${method}.yaml`);
    writeFileSync(file, `${JSON.stringify({ ...recipe, dtype: 'bfloat16' })}\n`);
    const sizeBytes = names.reduce((sum, name) => sum + statSync(weights(name)).size, 0);
    const results = [];
    // Files are in the page cache for both.
    for (const name of names) for await (const _ of createReadStream(weights(name)));
    for (let round = 0; round < rounds; round++) {
      const [ours, theirs] = [join(work, 'forge'), join(work, 'mergekit')];
      const args = ['merge', file, ours, '--base-dir', models, '--json', '--threads', `${threads}`];
      const mine = await timed(process.execPath, [FORGE, ...args], models);
      const flags = machine.peers.mergekitFlags.split(' ');
      const other = await timed(mergekit, [beside('mergekit_command.py'), file, theirs, ...flags], models);
      const copySeconds = copied(join(ours, 'model.safetensors'), join(work, 'copy'));
      results.push({
        mine: { ...JSON.parse(mine.out), wall: mine.wall },
        other: { ...JSON.parse(other.err.trimEnd().split('\n').at(-1)), wall: other.wall },
        copySeconds,
      });
      const { mine: a, other: b } = results.at(-1);
      say(
        `  ${method} ${round + 1}: ${a.wall.toFixed(2)} s (${a.seconds.toFixed(2)} s merging), ` +
          `mergekit ${b.wall.toFixed(2)} s (${b.seconds.toFixed(2)} s)`,
      );
      for (const made of [ours, theirs, join(work, 'copy')]) rmSync(made, { recursive: true, force: true });
    }
    const rate = (seconds) => sizeBytes / seconds / 1e6;
    const figure = (name, of) =>
      record(
        compared(
          {
            name: `${name} ${method}`,
            shape: `${names.length} x 103M bf16`,
            unit: 'MB/s',
            reference: 'mergekit',
          },
          results.map(({ mine, other }) => [of(mine), of(other)]),
        ),
      );
    figure('merge command', ({ wall }) => rate(wall));
    figure('merge files', ({ seconds }) => rate(seconds));
    const peak = ({ peakBytes }) => peakBytes / 2 ** 20;
    record({
      ...compared(
        { name: `merge memory ${method}`, shape: 'peak', unit: 'MiB', reference: 'mergekit' },
        results.map(({ mine, other }) => [peak(mine), peak(other)]),
      ),
      ratio: median(results.map(({ mine, other }) => peak(other) / peak(mine))),
    });
    record(
      alone(
        { name: `copy to disk over merge ${method}`, shape: 'result alone', unit: 'of time' },
        median(results.map(({ mine, copySeconds }) => copySeconds / mine.seconds)),
      ),
    );
  }
}
