import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = fileURLToPath(new URL('..', import.meta.url));

describe('configuring the native build', () => {
  let build: string;

  beforeEach(() => {
    build = mkdtempSync(join(tmpdir(), 'forge-configure-'));
  });
  afterEach(() => {
    rmSync(build, { recursive: true, force: true });
  });

  function configure(...settings: string[]): string {
    const { status, stdout, stderr } = spawnSync(
      'cmake',
      ['-S', native, '-B', build, '-DFORGE_ADDON=OFF', ...settings],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`${stdout}\n${stderr}`);
    return stdout;
  }

  it('removes a CUDA backend that it would not build', () => {
    const stale = join(build, 'libforge_cuda.so');
    writeFileSync(stale, 'of an earlier build');
    configure('-DFORGE_CUDA=OFF');
    expect(existsSync(stale)).toBe(false);
  }, 60_000);

  it('looks for nvcc again when the one it found is gone', () => {
    expect(configure('-DFORGE_NVCC_PROGRAM:FILEPATH=/nowhere/nvcc')).toContain('CUDA backend: ');
    expect(readFileSync(join(build, 'CMakeCache.txt'), 'utf8')).not.toContain('/nowhere');
  }, 60_000);
});
