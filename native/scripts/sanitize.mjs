#!/usr/bin/env node
/**
 * Builds the C++ tests with AddressSanitizer and UndefinedBehaviorSanitizer into native/build/sanitize, and runs them:
 * a read or write outside a buffer, a leak, or undefined behaviour ends the run. Quick when nothing changed.
 * Arguments: the tests to run, as of forge_tests; default all.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const build = join(root, 'build/sanitize');

function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
  if (error) console.error(`native sanitize: ${command}: ${error.message}`);
  if (status !== 0) process.exit(1);
}

const options = [
  '-DFORGE_SANITIZE=ON',
  '-DFORGE_ADDON=OFF',
  '-DFORGE_CUDA=OFF',
  '-DCMAKE_BUILD_TYPE=Release',
];
run('cmake', ['-S', root, '-B', build, ...options]);
run('cmake', ['--build', build, '--parallel', String(availableParallelism()), '--target', 'forge_tests']);
run(join(build, 'forge_tests'), process.argv.slice(2), {
  ...process.env,
  UBSAN_OPTIONS: 'print_stacktrace=1',
});
