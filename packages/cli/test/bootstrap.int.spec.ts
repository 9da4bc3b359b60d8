import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../infra/local/bootstrap.mjs', import.meta.url));

/** Runs the bootstrap without a terminal and with only the programs in `path`. */
function bootstrap(args: string[], path: string) {
  const result = spawnSync(process.execPath, [script, ...args], {
    encoding: 'utf8',
    env: { PATH: path, CI: 'true' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

describe('bootstrap', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'forge-bootstrap-'));
    await symlink(process.execPath, join(folder, 'node'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it.each([[[]], [['dmeo']]])('%j is wrong usage', (args) => {
    const { code, err } = bootstrap(args, folder);
    expect(code).toBe(2);
    expect(err).toContain('usage: bootstrap.mjs demo|test|setup');
  });

  it('says exactly what to install where it may not install anything', () => {
    const { code, out, err } = bootstrap(['setup'], folder);
    expect(code).toBe(1);
    expect(out).toMatch(/missing: g\+\+, make, cmake/);
    expect(err).toMatch(/could not be installed: g\+\+, make, cmake/);
    expect(err).toContain('sudo apt-get install -y --no-install-recommends g++ make cmake');
  });
});
