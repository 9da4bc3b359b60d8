#!/usr/bin/env node
/**
 * Configures and builds native/ into native/build. Quick when nothing changed. Extra arguments are
 * CMake targets (default: the addon, and the CUDA backend where nvcc is found): `node scripts/build.mjs forge_tests forge_bench`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
// Node-API is stable across Node versions, and not every Node is installed with its headers.
import { include_dir } from 'node-api-headers';

const root = fileURLToPath(new URL('..', import.meta.url));
const build = join(root, 'build');

function fail(message) {
  console.error(`native build: ${message}`);
  process.exit(1);
}

function run(command, args) {
  const result = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error?.code === 'ENOENT') {
    fail(`${command} not found. Install cmake and a C++20 compiler (Debian: apt install cmake g++).`);
  }
  if (result.status !== 0) fail(`${command} ${args.join(' ')} failed`);
}

function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

function configure() {
  const generator = has('ninja') ? 'Ninja' : 'Unix Makefiles';
  const cache = join(build, 'CMakeCache.txt');
  const made = existsSync(cache) ? readFileSync(cache, 'utf8') : undefined;
  const fits = [`CMAKE_GENERATOR:INTERNAL=${generator}`, `CMAKE_HOME_DIRECTORY:INTERNAL=${resolve(root)}`];
  // A folder that was moved, or made with another generator, is configured anew.
  if (made !== undefined && !fits.every((line) => made.split('\n').includes(line))) {
    rmSync(build, { recursive: true, force: true });
  }
  run('cmake', [
    ...['-S', root, '-B', build, '-G', generator, '-DCMAKE_BUILD_TYPE=Release'],
    `-DFORGE_NODE_INCLUDE=${resolve(include_dir)}`,
  ]);
}

const targets = process.argv.slice(2);
configure();
run('cmake', [
  ...['--build', build, '--parallel', String(availableParallelism())],
  ...(targets.length === 0 ? ['--target', 'forge'] : ['--target', ...targets]),
]);
