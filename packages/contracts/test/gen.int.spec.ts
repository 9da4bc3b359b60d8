import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const gen = fileURLToPath(new URL('../bin/gen.mjs', import.meta.url));
const proto = fileURLToPath(new URL('../../../proto', import.meta.url));

/** Runs the check on a copy of the contracts in which one file was edited. */
function checkEdited(edit: (text: string) => string): Promise<{ code: number; output: string }> {
  const copy = mkdtempSync(join(tmpdir(), 'contracts-'));
  cpSync(proto, copy, { recursive: true });
  const file = join(copy, 'agentforge/artifacts/v1/artifact.proto');
  writeFileSync(file, edit(readFileSync(file, 'utf8')));
  return new Promise((resolve) => {
    execFile(process.execPath, [gen, '--check', '--proto', copy], (error, stdout, stderr) => {
      rmSync(copy, { recursive: true, force: true });
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr });
    });
  });
}

/** Whole generator runs, on machines that may be busy: ms. */
const SLOW = 120_000;

describe('gen.mjs --check', () => {
  it(
    'refuses a field that changes its type',
    async () => {
      const { code, output } = await checkEdited((text) =>
        text.replace('string digest = 1;', 'bytes digest = 1;'),
      );
      expect(output).toContain('changed type');
      expect(code).toBe(1);
    },
    SLOW,
  );

  it(
    'refuses generated code that is stale',
    async () => {
      const { code, output } = await checkEdited((text) =>
        text.replace('string digest = 1;', 'string digest = 1;\n  // Added.\n  string added = 99;'),
      );
      expect(output).toContain('stale');
      expect(code).toBe(1);
    },
    SLOW,
  );
});
