import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { presetConfig } from '@agentforge/model';

const beside = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const program = beside('run.mjs');
/** The kernels of CUDA, run by the processor: there once `pnpm test:cpp` has built them. */
const EMULATED = beside('../../../native/build/libforge_cuda_emulated.so');

/** Runs the benchmark with a bare --json; what it wrote to the standard output, read, and beside it. */
function bench(...options: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...options, '--json'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return { document: JSON.parse(stdout), stderr };
}

describe('bench:compute', () => {
  it('writes JSON alone to the standard output, with commit and date, and the table beside it', () => {
    // Without a text the section has nothing to measure, and says so.
    const { document, stderr } = bench('--only', 'quality');
    const { commit, isChanged, date, machine, figures } = document;
    expect(Date.now() - Date.parse(date)).toBeLessThan(600_000);
    if (commit !== null) expect(commit).toMatch(/^[0-9a-f]{40}$/);
    expect(typeof isChanged).toBe(commit === null ? 'object' : 'boolean');
    expect(machine.threads).toBeGreaterThan(0);
    expect(figures).toEqual([]);
    expect(stderr).toContain('quality: skipped, needs --text FILE');
  }, 60_000);

  it('asks PyTorch for the precision of our steps, and gives it a malloc that keeps its buffers', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bench-torch-'));
    try {
      // In the place of python: tells what it was given as its version, and a rate for every number of steps.
      const python = join(folder, 'python');
      writeFileSync(
        python,
        `#!${process.execPath}
const { MALLOC_MMAP_MAX_: most, MALLOC_TRIM_THRESHOLD_: trim, MALLOC_TOP_PAD_: pad } = process.env;
console.log(JSON.stringify({ torch: { most, trim, pad, precision: JSON.parse(process.argv[3]).precision } }));
process.stdin.on('data', () => console.log('{"tokensPerSecond": 1000, "stepBytes": 1048576}'));
`,
        { mode: 0o755 },
      );
      const small = ['--models', 'pico', '--rounds', '1', '--threads', '1', '--precision', 'bf16'];
      const { document } = bench('--only', 'training', '--torch', python, ...small);
      expect(document.machine.peers.torch).toEqual({
        most: '0',
        trim: '1099511627776',
        pad: '67108864',
        precision: 'bf16',
      });
      expect(document.figures).toMatchObject([
        { name: 'training step bf16', reference: 'PyTorch', referenceValue: 1000 },
        { name: 'training step memory bf16', reference: 'PyTorch', referenceValue: 1 },
      ]);
      expect(document.figures[0].value).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);

  it('says what is missing where there is no GPU', () => {
    const { status, stderr } = spawnSync(process.execPath, [program, '--device', 'cuda'], {
      encoding: 'utf8',
      env: { ...process.env, FORGE_CUDA_LIBRARY: '/nowhere/libforge_cuda.so' },
    });
    expect(status).toBe(1);
    expect(stderr).toContain('device cuda cannot be used');
    expect(stderr).toContain('sections that failed: training, ternary');
  }, 60_000);

  const onDevice = existsSync(EMULATED) ? it : it.skip;

  onDevice(
    'takes steps and products on a device, with its memory',
    () => {
      const ask = (worker: string, work: object, count: number) => {
        const { status, stdout, stderr } = spawnSync(
          process.execPath,
          [beside(worker), JSON.stringify({ device: 'cuda', threads: 1, ...work })],
          { encoding: 'utf8', input: `${count}\n`, env: { ...process.env, FORGE_CUDA_LIBRARY: EMULATED } },
        );
        if (status !== 0) throw new Error(stderr);
        return stdout
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
      };
      const config = presetConfig('pico', {
        vocabSize: 23,
        hiddenSize: 8,
        numLayers: 1,
        numHeads: 2,
        numKvHeads: 1,
        headDim: 4,
        intermediateSize: 12,
        contextLength: 8,
      });
      const [backend, figures] = ask(
        'training-worker.mjs',
        { config, batch: 2, length: 5, precision: 'f32' },
        4,
      );
      expect(backend).toMatchObject({ device: 'cuda', captures: true });
      expect(figures.tokensPerSecond).toBeGreaterThan(0);
      expect(figures.stepBytes).toBeGreaterThan(4 * 23 * 8);
      const [, { gops }] = ask('ternary-worker.mjs', { rows: 32, columns: 32 }, 3);
      expect(gops).toBeGreaterThan(0);
    },
    120_000,
  );
});
