/**
 * `forge merge` beside mergekit: the same recipes and files, in turns; medians of seconds (without what it takes to start
 * the program) and of the most memory that the process had.
 *
 *   node test/load/merging/compare.mjs --python PYTHON_WITH_MERGEKIT --models FOLDER [--rounds 5] [--threads 2] [method …]
 *
 * FOLDER has four models of one kind: base, a, b, c.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(new URL('.', import.meta.url));
const forge = fileURLToPath(new URL('../../../packages/cli/bin/forge.mjs', import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    models: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    dtype: { type: 'string', default: 'float32' },
  },
});
if (!options.python || !options.models) {
  throw new Error('name a python with mergekit (--python) and a folder of models base, a, b, c (--models)');
}
const models = resolve(options.models);

const weighted = (parameters = '') =>
  ['a', 'b', 'c']
    .map((name, i) => `  - {model: ${name}, parameters: {weight: 0.${5 - i}${parameters}}}\n`)
    .join('');
const onBase = (method, parameters = '') =>
  `merge_method: ${method}\nbase_model: base\nmodels:\n${weighted(parameters)}`;
const plain = (method) =>
  `merge_method: ${method}\nbase_model: base\nmodels: [{model: a}, {model: b}, {model: c}]\n`;
const RECIPES = {
  linear: `merge_method: linear\nmodels:\n${weighted()}`,
  slerp: 'merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: 0.4}\n',
  ties: onBase('ties', ', density: 0.6'),
  dare_ties: onBase('dare_ties', ', density: 0.6'),
  della: onBase('della', ', density: 0.6'),
  breadcrumbs: onBase('breadcrumbs', ', density: 0.6'),
  model_stock: plain('model_stock'),
  sce: `${plain('sce')}parameters: {select_topk: 0.5}\n`,
};

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr.slice(-2000)}`);
  return stdout;
}

const peer = spawn(options.python, [join(here, 'mergekit_recipe.py'), models, options.threads], {
  stdio: ['pipe', 'pipe', 'ignore'],
});
const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
/** The next answer of mergekit's process. */
async function answer() {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error('mergekit ended: run mergekit_recipe.py by hand to see why');
    if (value.startsWith('RESULT ')) return JSON.parse(value.slice(7));
  }
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
await answer();
const work = mkdtempSync(join(tmpdir(), 'merge-compare-'));
try {
  console.log(
    '| method | forge s | mergekit s | ratio | forge MiB | mergekit MiB |\n|---|---|---|---|---|---|',
  );
  for (const [method, recipe] of Object.entries(RECIPES)) {
    if (positionals.length > 0 && !positionals.includes(method)) continue;
    const file = join(work, `${method}.yaml`);
    writeFileSync(file, `${recipe}dtype: ${options.dtype}\n`);
    const [ours, theirs] = [[], []];
    for (let round = 0; round < Number(options.rounds); round++) {
      const [x, y] = [join(work, 'forge'), join(work, 'mergekit')];
      const threads = ['--threads', options.threads];
      ours.push(
        JSON.parse(
          run(process.execPath, [forge, 'merge', file, x, '--base-dir', models, '--json', ...threads]),
        ),
      );
      peer.stdin.write(`${file} ${y}\n`);
      theirs.push(await answer());
      for (const folder of [x, y]) rmSync(folder, { recursive: true, force: true });
    }
    const of = (results, key) => median(results.map((result) => result[key]));
    const [a, b] = [of(ours, 'seconds'), of(theirs, 'seconds')];
    const mib = (results) => Math.round(of(results, 'peakBytes') / 2 ** 20);
    console.log(
      `| ${method} | ${a.toFixed(2)} | ${b.toFixed(2)} | ${(b / a).toFixed(1)} | ${mib(ours)} | ${mib(theirs)} |`,
    );
  }
} finally {
  peer.stdin.end();
  rmSync(work, { recursive: true, force: true });
}
