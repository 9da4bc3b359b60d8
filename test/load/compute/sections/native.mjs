// Kernels, by the C++ program of native/bench.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = fileURLToPath(new URL('../../../../native', import.meta.url));

/** Programs of forge_bench, and the threads they get: the peer of the ternary products computes on one. */
const PARTS = [
  { names: ['matmul', 'ops', 'merge', 'step'], threads: (all) => all },
  { names: ['quantize'], threads: () => 1 },
];

export async function run({ threads, llama, machine, record }) {
  execute(process.execPath, [join(native, 'scripts/build.mjs'), 'forge_bench']);
  const folder = mkdtempSync(join(tmpdir(), 'forge-bench-'));
  const json = join(folder, 'figures.json');
  try {
    for (const part of PARTS) {
      const count = part.threads(threads);
      execute(join(native, 'build/forge_bench'), [...part.names, '--json', json], {
        FORGE_THREADS: String(count),
        ...(llama === undefined ? {} : { FORGE_BENCH_GGML: ggmlFolder(llama) }),
      });
      const { isa, peakFlops, copyBytesPerSecond, figures } = JSON.parse(readFileSync(json, 'utf8'));
      if (count === threads) Object.assign(machine, { isa, peakFlops, copyBytesPerSecond });
      const suffix = count === threads ? '' : ', 1 thread';
      for (const figure of figures) record({ ...figure, shape: figure.shape + suffix });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where node-llama-cpp keeps its libraries for this platform. */
function ggmlFolder(llama) {
  const name = `${process.platform}-${process.arch}`;
  return join(llama, 'node_modules/@node-llama-cpp', name, 'bins', name);
}

function execute(command, args, env = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
}
