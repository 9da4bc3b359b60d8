#!/usr/bin/env node
/**
 * Configures and builds native/ into native/build. Quick when nothing changed. Extra arguments are
 * CMake targets (default: the addon): `node scripts/build.mjs forge_tests forge_bench`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

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

/** The folder of node_api.h that belongs to the running Node. */
function nodeInclude() {
  const candidates = [
    process.env.npm_config_nodedir && join(process.env.npm_config_nodedir, 'include/node'),
    join(dirname(process.execPath), '../include/node'),
    '/usr/include/node',
    '/usr/local/include/node',
  ].filter(Boolean);
  const found = candidates.find((path) => existsSync(join(path, 'node_api.h')));
  if (found === undefined) {
    fail(
      `no node_api.h in ${candidates.join(', ')}. Install Node from nodejs.org or NodeSource (they carry headers; ` +
        'Debian: apt install libnode-dev), or set npm_config_nodedir to an unpacked Node.',
    );
  }
  return resolve(found);
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
    `-DFORGE_NODE_INCLUDE=${nodeInclude()}`,
  ]);
}

const targets = process.argv.slice(2);
configure();
run('cmake', [
  ...['--build', build, '--parallel', String(availableParallelism())],
  ...(targets.length === 0 ? ['--target', 'forge_addon'] : ['--target', ...targets]),
]);
