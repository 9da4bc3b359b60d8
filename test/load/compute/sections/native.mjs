// Kernels, by the C++ program of native/bench.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = fileURLToPath(new URL('../../../../native', import.meta.url));

export async function run({ threads, machine, record }) {
  execute(process.execPath, [join(native, 'scripts/build.mjs'), 'forge_bench']);
  const folder = mkdtempSync(join(tmpdir(), 'forge-bench-'));
  const json = join(folder, 'figures.json');
  try {
    execute(join(native, 'build/forge_bench'), ['--json', json], { FORGE_THREADS: String(threads) });
    const { isa, peakFlops, copyBytesPerSecond, figures } = JSON.parse(readFileSync(json, 'utf8'));
    Object.assign(machine, { isa, peakFlops, copyBytesPerSecond });
    for (const figure of figures) record(figure);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function execute(command, args, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
}
