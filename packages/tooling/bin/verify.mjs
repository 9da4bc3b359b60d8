#!/usr/bin/env node
/**
 * Everything that must hold before a change lands: formats, boundaries, types, generated code, build, tests.
 * Prints one line per check, then `N passed, N failed`, and exits 1 when anything failed.
 *
 *   verify.mjs               all checks and tests
 *   verify.mjs checks        all but the tests
 *   verify.mjs tests         build and tests
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const what = process.argv[2] ?? 'all';
if (!['all', 'checks', 'tests'].includes(what)) {
  console.error('usage: verify.mjs [all|checks|tests]');
  process.exit(2);
}

/** How long the system is disturbed, and by what; longer and with other seeds: `pnpm test:chaos`. */
const CHAOS = { minutes: process.env.FORGE_CHAOS_MINUTES ?? '5', seed: process.env.FORGE_CHAOS_SEED ?? '68' };

const node = process.execPath;
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const jestSettings = ['--config', 'packages/tooling/presets/jest.workspace.mjs'];
const scratch = mkdtempSync(join(tmpdir(), 'agentforge-verify-'));
const env = {
  ...process.env,
  NX_DAEMON: 'false',
  PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}`,
};

const total = { passed: 0, failed: 0, skipped: 0 };
const running = new Set();

/**
 * Runs one program; resolves to its exit code and, when asked to, what it printed. `held` prints that at the end only, for
 * programs that run beside another one.
 */
function execute(command, args, { cwd = root, capture = false, held = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', capture || held ? 'pipe' : 'inherit', held ? 'pipe' : 'inherit'],
    });
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk;
        if (!held) process.stdout.write(chunk);
      });
    }
    const end = (code) => {
      running.delete(child);
      resolve({ code, output });
    };
    child.on('error', (error) => {
      output += String(error);
      end(1);
    });
    child.on('close', (code) => {
      if (held) process.stdout.write(output);
      end(code ?? 1);
    });
  });
}

/** Runs a check that either holds or not, and counts it as one. */
async function check(name, command, args, options) {
  const start = Date.now();
  const { code } = await execute(command, args, options);
  total[code === 0 ? 'passed' : 'failed'] += 1;
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  return code === 0;
}

/** Runs jest once; resolves to its report, or undefined when it wrote none. */
async function jestReport(name, args) {
  const file = join(scratch, `${name}.json`);
  const settings = [...jest, ...jestSettings, '--json', `--outputFile=${file}`];
  await execute(node, [...settings, ...args]);
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Adds what the files of a report came to. A file that failed without a failed test counts as one failure. */
function count(files) {
  for (const { status, assertionResults } of files) {
    const of = (wanted) => assertionResults.filter((result) => result.status === wanted).length;
    total.passed += of('passed');
    total.skipped += of('pending');
    total.failed += status === 'failed' ? Math.max(1, of('failed')) : 0;
  }
}

/**
 * Runs jest and adds its counts. Files that failed while others ran beside them get one more run, alone; what passes
 * then is named as unsteady. A run that reports nothing counts as one failure.
 */
async function runJest(name, args) {
  const report = await jestReport(name, args);
  if (!report || report.testResults.length === 0) {
    total.failed += 1;
    console.log(`FAILED ${name}: jest reported no tests`);
    return;
  }
  const failed = report.testResults.filter(({ status }) => status === 'failed').map((result) => result.name);
  count(report.testResults.filter(({ status }) => status !== 'failed'));
  if (failed.length === 0) return;
  const again = await jestReport(`${name} again`, ['--runInBand', '--runTestsByPath', ...failed]);
  if (!again || again.testResults.length < failed.length) {
    total.failed += failed.length;
    return;
  }
  count(again.testResults);
  for (const { status, name: file } of again.testResults) {
    if (status !== 'failed') console.log(`UNSTEADY ${file}: failed beside others, passed alone`);
  }
}

/** Runs the C++ tests and adds their counts. */
async function runCtest() {
  const { output } = await execute('pnpm', ['--filter', '@agentforge/native', 'run', 'test:cpp'], {
    capture: true,
  });
  const summary = /(\d+) tests failed out of (\d+)/.exec(output);
  if (!summary) {
    total.failed += 1;
    console.log('FAILED ctest: no summary');
    return;
  }
  total.failed += Number(summary[1]);
  total.passed += Number(summary[2]) - Number(summary[1]);
}

async function checks() {
  await check('contracts are linted', 'pnpm', ['--filter', '@agentforge/contracts', 'run', 'lint:proto']);
  await check('generated code is fresh', node, ['packages/contracts/bin/gen.mjs', '--check']);
  await check('format and lint', 'biome', ['ci', '.']);
  await check('import boundaries', node, ['packages/tooling/bin/boundaries.mjs']);
  await check('types', 'tsc', ['-p', 'packages/tooling/presets/tsconfig.workspace.json']);
}

async function tests() {
  if (!(await check('build', 'nx', ['run-many', '-t', 'build', '--outputStyle=static']))) return;
  await runCtest();
  // The tests were configured and built just now: without nvcc that removes a library of an earlier build.
  const hasCuda = existsSync(join(root, 'native/build/libforge_cuda.so'));
  console.log(
    hasCuda
      ? 'ok     CUDA sources compiled (conformance on hardware: native/build/forge_cuda_conformance)'
      : 'SKIPPED CUDA sources: no working nvcc in CUDACXX, PATH, CUDA_HOME, CUDA_PATH or /usr/local/cuda',
  );
  await runJest('unit and integration', [
    '--maxWorkers=2',
    '--testPathIgnorePatterns',
    '/node_modules/',
    '/dist/',
    '<rootDir>/test/e2e/',
  ]);
  // End-to-end tests and chaos wait much of their time, the sanitizers only compute: these take what is left over.
  await Promise.all([
    check(
      'C++ tests under sanitizers',
      'nice',
      ['-n', '19', 'pnpm', '--filter', '@agentforge/native', 'run', 'test:sanitize'],
      { held: true },
    ),
    (async () => {
      await runJest('end to end', ['--runInBand', '--testPathPatterns', '/test/e2e/']);
      await check(`${CHAOS.minutes} minutes of chaos`, node, [
        'test/chaos/run.mjs',
        ...['--minutes', CHAOS.minutes, '--seed', CHAOS.seed],
      ]);
    })(),
  ]);
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    process.exit(130);
  });
}

try {
  if (what !== 'tests') await checks();
  if (what !== 'checks') await tests();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exitCode = total.failed > 0 ? 1 : 0;
