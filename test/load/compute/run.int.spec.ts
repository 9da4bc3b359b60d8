import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('run.mjs', import.meta.url));

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
        { name: 'training step bf16', reference: 'PyTorch', referenceValue: 1000, target: null },
        { name: 'training step memory bf16', reference: 'PyTorch', referenceValue: 1, target: null },
      ]);
      expect(document.figures[0].value).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
});
