import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nameOf } from './campaign.js';

/** Set by `pnpm fuzz`. Without it, the corpus and a few hundred new sequences are called. */
const minutes = Number(process.env['FORGE_FUZZ_MINUTES'] ?? 0);
const seed = Number(process.env['FORGE_FUZZ_SEED'] ?? 1);
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const folder = path('./corpus/addon');

/** How the process that calls the addon ended. */
interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly output: string;
}

function call(settings: object, timeoutMs: number): Promise<Ended> {
  const program = [path('./addon-child.mjs'), JSON.stringify(settings)];
  const child = spawn(process.execPath, program, { timeout: timeoutMs, killSignal: 'SIGKILL' });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, output }));
  });
}

describe('the addon', () => {
  it(
    'answers any arguments with a result, a NativeError or a TypeError, within its memory limit',
    async () => {
      const own = mkdtempSync(join(tmpdir(), 'fuzz-'));
      const last = join(own, 'last.json');
      const replay = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
      const seconds = minutes > 0 ? minutes * 60 : 60;
      const bounds = { seconds, sequences: minutes > 0 ? 1e9 : 400 };
      try {
        const addonPath = path('../../native/build/forge.node');
        const ended = await call({ addonPath, last, seed, replay, ...bounds }, (seconds + 60) * 1000);
        if (ended.status !== 0) {
          const name = join(folder, `${nameOf(readFileSync(last))}.json`);
          if (minutes > 0) mkdirSync(folder, { recursive: true });
          if (minutes > 0) copyFileSync(last, name);
          throw new Error(
            `seed ${seed}: ${ended.signal ?? ended.status}: ${ended.output}\n${readFileSync(last, 'utf8')}`,
          );
        }
        const { calls, accepted, functions, learnt } = JSON.parse(ended.output);
        if (minutes > 0) console.log(`addon: seed ${seed}, ${calls} calls, ${accepted} accepted, 0 findings`);
        // Otherwise nothing but the conversion of the first argument was tried.
        expect(learnt).toBeGreaterThan(functions / 2);
        expect(accepted).toBeGreaterThan(calls / 20);
      } finally {
        rmSync(own, { recursive: true });
      }
    },
    (minutes + 3) * 60_000,
  );
});
