import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const ADDON = path('../../native/build/forge.node');

/** What a process computes with when it is asked for an instruction set: that, or the best that the machine has. */
function isaOf(wanted: string | undefined): string {
  const program = `process.stdout.write(require(${JSON.stringify(ADDON)}).backendInfo().isa)`;
  return execFileSync(process.execPath, ['-e', program], {
    encoding: 'utf8',
    env: { ...process.env, FORGE_ISA: wanted },
  });
}

const usual = isaOf(process.env['FORGE_ISA']);
/** Those that the machine has and that the other specs do not run on. */
const others = ['avx512bf16', 'avx512vnni', 'avx512', 'avx2', 'portable'].filter(
  (isa) => isa !== usual && isaOf(isa) === isa,
);

// Every op at small sizes; the large ones where each instruction set has a kernel or a tile of its own.
const ROWS =
  'against its plain reference (.*(regular|odd|empty)|(add|exp|sum|softmax|rmsNorm|matmul|linear|attention|ternaryMatmul).*big)$';

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** forward.spec.ts on an instruction set, its work cut for more threads than a small machine has. */
function runForward(isa: string, folder: string): Promise<Ended> {
  const program = [
    '--experimental-vm-modules',
    '--no-warnings',
    path('../node_modules/jest/bin/jest.js'),
    ...['--ci', '--silent', 'conformance/forward.spec.ts', '--testNamePattern', ROWS],
  ];
  const child = spawn(process.execPath, program, {
    cwd: path('..'),
    env: { ...process.env, FORGE_ISA: isa, FORGE_THREADS: '3', FORGE_CONFORMANCE_TABLE: folder },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  return new Promise((resolve) => {
    child.on('close', (status) => resolve({ status, output }));
  });
}

describe('every op on the instruction sets below the best', () => {
  it('knows the instruction set that is used unasked', () => {
    expect(others).not.toContain(usual);
    expect([...others, usual]).toContain('portable');
  });

  it.each(others)(
    '%s',
    async (isa) => {
      const folder = mkdtempSync(join(tmpdir(), 'isa-'));
      try {
        const { status, output } = await runForward(isa, folder);
        if (status !== 0) throw new Error(output);
        const { isa: used, noted } = JSON.parse(readFileSync(join(folder, 'forward.json'), 'utf8'));
        expect(used).toBe(isa);
        expect(noted.length).toBeGreaterThan(400);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    300_000,
  );
});
