import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const check = fileURLToPath(new URL('../bin/boundaries.mjs', import.meta.url));

/** Runs the check over a tree of files and returns its exit code and what it printed. */
function checkTree(files: Record<string, string>): Promise<{ code: number; output: string }> {
  const root = mkdtempSync(join(tmpdir(), 'boundaries-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const scope = join(root, 'node_modules/@agentforge');
  mkdirSync(scope, { recursive: true });
  for (const name of ['events', 'tensor', 'model']) {
    const home = join(root, 'packages', name);
    mkdirSync(join(home, 'src'), { recursive: true });
    const entry = {
      name: `@agentforge/${name}`,
      type: 'module',
      exports: { '.': { 'agentforge-source': './src/index.ts' } },
    };
    writeFileSync(join(home, 'package.json'), JSON.stringify(entry));
    if (!files[`packages/${name}/src/index.ts`])
      writeFileSync(join(home, 'src/index.ts'), 'export const x = 1;\n');
    symlinkSync(home, join(scope, name));
  }
  return new Promise((resolve) => {
    execFile(process.execPath, [check, '--root', root], (error, stdout, stderr) => {
      rmSync(root, { recursive: true, force: true });
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr });
    });
  });
}

describe('boundaries', () => {
  it('accepts imports that point the right way', async () => {
    const { code, output } = await checkTree({
      'packages/model/src/index.ts': "import { x } from '@agentforge/tensor';\nexport const y = x;\n",
    });
    expect(output).toContain('0 violations');
    expect(code).toBe(0);
  });

  it.each([
    [
      'imports-of-model',
      'packages/model/src/index.ts',
      "import { x } from '@agentforge/events';\nexport const y = x;\n",
    ],
    [
      'imports-of-model',
      'packages/model/src/index.ts',
      "import type { T } from '@agentforge/events';\nexport type Y = T;\n",
    ],
    [
      'imports-of-services',
      'services/a/src/a.service.ts',
      "import { x } from '../../b/src/b.service.js';\nexport const y = x;\n",
    ],
    [
      'domain-is-pure',
      'services/a/src/domain/plan.ts',
      "import { x } from '@agentforge/events';\nexport const y = x;\n",
    ],
    [
      'domain-does-no-io',
      'services/a/src/domain/plan.ts',
      "import { readFileSync } from 'node:fs';\nexport const y = readFileSync;\n",
    ],
    [
      'only-the-composition-root-binds-adapters',
      'services/a/src/a.service.ts',
      "import { x } from './adapters/store.js';\nexport const y = x;\n",
    ],
    [
      'no-cycles',
      'services/b/src/b.service.ts',
      "import { z } from './other.js';\nexport const x = 1;\nexport const y = z;\n",
    ],
  ])('%s refuses a forbidden import in %s', async (rule, path, text) => {
    const { code, output } = await checkTree({
      'services/a/src/adapters/store.ts': 'export const x = 1;\n',
      'services/b/src/b.service.ts': 'export const x = 1;\n',
      'services/b/src/other.ts': "import { x } from './b.service.js';\nexport const z = x;\n",
      [path]: text,
    });
    expect(output).toContain(`${rule}: ${path}`);
    expect(code).toBe(1);
  });
});
