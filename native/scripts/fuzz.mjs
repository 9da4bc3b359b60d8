#!/usr/bin/env node
/**
 * Runs libFuzzer on the ops, under AddressSanitizer and UndefinedBehaviorSanitizer: bytes become sequences of ops on
 * tensors of any shape. Needs clang++ 14 or newer (CLANGXX: another path). Starts from fuzz/corpus.hex, an input a line,
 * which every test run replays; new ones go to build/fuzz/found, and what ended a run (crash-…, timeout-…) to build/fuzz.
 *
 *   fuzz.mjs [seconds] [seed]     default 60, and the time
 *   fuzz.mjs keep                 replaces the corpus by the least set of inputs with the coverage of all found ones; a test says
 *                                 which op has no accepted call left, add one by hand
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const build = join(root, 'build/fuzz');
const corpus = join(root, 'fuzz/corpus.hex');
const seeds = join(build, 'seeds');
const found = join(build, 'found');
const [what = '60', seed = String(Math.floor(Date.now() / 1000))] = process.argv.slice(2);

/** Ends this program unless the command succeeds. */
function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', cwd });
  if (error) console.error(`native fuzz: ${command}: ${error.message}`);
  if (status !== 0) process.exit(1);
}

if (what !== 'keep' && !(Number.isInteger(Number(what)) && Number(what) > 0)) {
  console.error('usage: fuzz.mjs [seconds] [seed], or fuzz.mjs keep');
  process.exit(2);
}
run('cmake', [
  ...['-S', root, '-B', build, `-DCMAKE_CXX_COMPILER=${process.env.CLANGXX ?? 'clang++'}`],
  ...['-DFORGE_FUZZ=ON', '-DFORGE_SANITIZE=ON', '-DFORGE_ADDON=OFF', '-DFORGE_CUDA=OFF'],
]);
run('cmake', ['--build', build, '--parallel', String(availableParallelism()), '--target', 'forge_fuzz']);
rmSync(seeds, { recursive: true, force: true });
for (const folder of [found, seeds]) mkdirSync(folder, { recursive: true });
for (const [n, line] of readFileSync(corpus, 'utf8').trim().split('\n').entries()) {
  writeFileSync(join(seeds, String(n)), Buffer.from(line, 'hex'));
}
const fuzz = join(build, 'forge_fuzz');
if (what === 'keep') {
  const least = join(build, 'least');
  rmSync(least, { recursive: true, force: true });
  mkdirSync(least);
  run(fuzz, ['-merge=1', '-max_len=256', least, seeds, found], build);
  const lines = readdirSync(least).map((name) => readFileSync(join(least, name)).toString('hex'));
  lines.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  writeFileSync(corpus, `${lines.join('\n')}\n`);
  console.log(`${lines.length} inputs in fuzz/corpus.hex`);
} else {
  const limits = ['-max_len=256', '-timeout=120', '-rss_limit_mb=2048', '-malloc_limit_mb=64'];
  run(
    fuzz,
    [`-max_total_time=${what}`, `-seed=${seed}`, ...limits, '-print_final_stats=1', found, seeds],
    build,
  );
}
