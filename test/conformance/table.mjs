// The conformance table: every op by what it computes in and by size, its largest error beside what is allowed.
//   node test/conformance/table.mjs > test/conformance/results/<date>-cpu-<instruction set>.md
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SIZES = ['regular', 'odd', 'empty', 'big'];
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** What a spec noted: see record.ts. */
function measure(folder) {
  const { status } = spawnSync(
    process.execPath,
    [
      ...['--experimental-vm-modules', '--no-warnings', path('../node_modules/jest/bin/jest.js'), '--silent'],
      ...['conformance/forward.spec.ts', 'conformance/gradients.spec.ts'],
    ],
    // Its report goes beside the table, not into it.
    { cwd: path('..'), stdio: ['ignore', 2, 2], env: { ...process.env, FORGE_CONFORMANCE_TABLE: folder } },
  );
  if (status !== 0) throw new Error('the conformance specs fail: no table');
  return ['forward', 'gradient'].map((name) =>
    JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')),
  );
}

const written = (error) => (error === 0 ? '0' : error.toExponential(1));

/** The largest error of the rows that fit, of all variants of an op; a dash where there is none. */
function worst(rows) {
  return rows.length === 0 ? '–' : written(Math.max(...rows.map(({ error }) => error)));
}

function table([forward, gradient]) {
  const keys = [...new Set(forward.noted.map(({ op, dtype }) => `${op}|${dtype}`))];
  return keys.map((key) => {
    const [op, dtype] = key.split('|');
    const isRow = (row) => row.op === op && row.dtype === dtype;
    const [values, slopes] = [forward.noted.filter(isRow), gradient.noted.filter(isRow)];
    const bySize = SIZES.map((size) => worst(values.filter((row) => row.size === size)));
    const allowed = [values[0].allowed, slopes[0]?.allowed].map((most) =>
      most === undefined ? '–' : written(most),
    );
    return `| ${[op, forward.device, dtype, ...bySize, allowed[0], worst(slopes), allowed[1]].join(' | ')} |`;
  });
}

const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
try {
  const specs = measure(folder);
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const { device, isa } = specs[0];
  const columns = ['op', 'backend', 'dtype', ...SIZES, 'allowed', 'gradient', 'allowed'];
  console.log(`# Every op on the ${device} backend

${cpus()[0].model.trim()}, ${isa}; commit ${commit}, ${new Date().toISOString().slice(0, 10)}. Made by \`test/conformance/table.mjs\`.

Largest error of all variants of an op, against the references in \`reference/\`, relative to the largest expected magnitude, at
least 1; of gradients against finite differences, regular and odd sizes. The reason of each tolerance is in \`tolerances.ts\`.

| ${columns.join(' | ')} |
|${columns.map((_, i) => (i < 3 ? '---' : '--:')).join('|')}|
${table(specs).join('\n')}`);
} finally {
  rmSync(folder, { recursive: true });
}
