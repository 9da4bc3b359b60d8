#!/usr/bin/env node
/**
 * Generates src/gen from ../../proto and from the google.rpc error contracts.
 * `--check` generates elsewhere and fails when the committed code differs.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const home = fileURLToPath(new URL('..', import.meta.url));
const proto = fileURLToPath(new URL('../../../proto', import.meta.url));
const require = createRequire(import.meta.url);
const check = process.argv.includes('--check');
const scratch = mkdtempSync(join(tmpdir(), 'agentforge-gen-'));
const output = join(scratch, 'gen');

const template = JSON.stringify({
  version: 'v2',
  plugins: [{ local: 'protoc-gen-es', out: output, opt: ['target=ts', 'import_extension=js'] }],
});
const env = { ...process.env, PATH: `${join(home, 'node_modules/.bin')}${delimiter}${process.env.PATH}` };
const buf = (...args) => execFileSync('buf', args, { cwd: scratch, env, stdio: 'inherit' });

try {
  const rpc = join(scratch, 'googleapis/google/rpc');
  mkdirSync(rpc, { recursive: true });
  const published = join(dirname(require.resolve('google-proto-files/package.json')), 'google/rpc');
  for (const file of ['status.proto', 'error_details.proto']) cpSync(join(published, file), join(rpc, file));

  buf('generate', proto, '--template', template);
  buf('generate', join(scratch, 'googleapis'), '--template', template);

  const target = join(home, 'src/gen');
  if (!check) {
    rmSync(target, { recursive: true, force: true });
    cpSync(output, target, { recursive: true });
  } else {
    const files = (folder) =>
      readdirSync(folder, { recursive: true })
        .filter((file) => file.endsWith('.ts'))
        .sort();
    const read = (folder) => files(folder).map((file) => [file, readFileSync(join(folder, file), 'utf8')]);
    if (JSON.stringify(read(output)) !== JSON.stringify(read(target))) {
      console.error('packages/contracts/src/gen is stale: run `pnpm gen` and commit the result.');
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
