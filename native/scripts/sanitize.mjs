#!/usr/bin/env node
/**
 * Builds the C++ tests and the addon with AddressSanitizer and UndefinedBehaviorSanitizer into native/build/sanitize, and runs
 * them: a read or write outside a buffer, a leak (of the tests), or undefined behaviour ends the run. The addon gets a call of
 * every op, and ten seconds of arguments that nobody should pass. Quick when nothing changed.
 * Arguments: the tests to run, as of forge_tests, without the addon; default all. `--wide` first: the kernels of every
 * instruction set, in a folder of their own; without it the portable ones only, which walk the same loops, in half the time.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { include_dir } from 'node-api-headers';

const root = fileURLToPath(new URL('..', import.meta.url));
const isWide = process.argv[2] === '--wide';
const tests = process.argv.slice(isWide ? 3 : 2);
const build = join(root, isWide ? 'build/sanitize-wide' : 'build/sanitize');

function run(command, args, env = process.env) {
  const stdio = ['ignore', 'inherit', 'inherit'];
  const { status, signal, error } = spawnSync(command, args, { stdio, env });
  if (error) console.error(`native sanitize: ${command}: ${error.message}`);
  if (status !== 0) {
    console.error(`native sanitize: ${command} ${args[0]} ended with ${signal ?? status}`);
    process.exit(1);
  }
}

/**
 * Where GCC has the runtime of a sanitizer, which a program that was built without it must load first; undefined where the
 * compiler of the build is another one.
 */
function runtimeOf(sanitizer) {
  const cache = readFileSync(join(build, 'CMakeCache.txt'), 'utf8');
  const compiler = /^CMAKE_CXX_COMPILER:\w+=(.*)$/m.exec(cache)?.[1] ?? '';
  const { stdout } = spawnSync(compiler, [`-print-file-name=lib${sanitizer}.so`], { encoding: 'utf8' });
  const path = stdout?.trim();
  return path?.startsWith('/') ? path : undefined;
}

const options = [
  '-DFORGE_SANITIZE=ON',
  '-DFORGE_ADDON=ON',
  `-DFORGE_SANITIZE_WIDE=${isWide ? 'ON' : 'OFF'}`,
  `-DFORGE_NODE_INCLUDE=${resolve(include_dir)}`,
  '-DFORGE_CUDA=OFF',
  '-DCMAKE_BUILD_TYPE=Release',
];
const targets = ['forge_tests', 'forge_addon'];
run('cmake', ['-S', root, '-B', build, ...options]);
run('cmake', ['--build', build, '--parallel', String(availableParallelism()), '--target', ...targets]);
const env = { ...process.env, UBSAN_OPTIONS: 'print_stacktrace=1' };
run(join(build, 'forge_tests'), tests, env);

const runtimes = ['asan', 'ubsan'].map(runtimeOf);
if (tests.length === 0 && runtimes.every((path) => path !== undefined)) {
  // Node keeps memory until it ends, which is no leak.
  const loaded = { ...env, LD_PRELOAD: runtimes.join(' '), ASAN_OPTIONS: 'detect_leaks=0' };
  const addonPath = join(build, 'forge.node');
  const own = mkdtempSync(join(tmpdir(), 'forge-sanitize-'));
  const bounds = { seed: 1, seconds: 10, sequences: 1e9, leniency: 6, replay: [] };
  const call = { addonPath, last: join(own, 'last.json'), ...bounds };
  try {
    run(process.execPath, [join(root, 'test/sanitized_ops.cjs'), addonPath], loaded);
    run(process.execPath, [join(root, '../test/fuzz/addon-child.mjs'), JSON.stringify(call)], loaded);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
} else if (tests.length === 0) {
  console.log(
    'SKIPPED the addon under sanitizers: the compiler has no libasan.so and libubsan.so, as GCC has',
  );
}
