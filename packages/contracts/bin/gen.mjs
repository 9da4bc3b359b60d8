#!/usr/bin/env node
/**
 * Generates src/gen from ../../proto and from the google.rpc error contracts, and keeps
 * proto/baseline.binpb, the contracts that clients rely on.
 *
 *   gen.mjs                     generate; refuses changes that break the baseline
 *   gen.mjs --accept-breaking   generate and make the current contracts the baseline
 *   gen.mjs --check             change nothing; fail when generated code or baseline is stale, or a change breaks
 *   --proto DIR                 contracts to read instead of ../../proto
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const home = fileURLToPath(new URL('..', import.meta.url));
const protoFlag = process.argv.indexOf('--proto');
const proto =
  protoFlag > 0
    ? resolve(process.argv[protoFlag + 1])
    : fileURLToPath(new URL('../../../proto', import.meta.url));
const check = process.argv.includes('--check');
const acceptBreaking = process.argv.includes('--accept-breaking');
const baseline = join(proto, 'baseline.binpb');
const target = join(home, 'src/gen');

const scratch = mkdtempSync(join(tmpdir(), 'agentforge-gen-'));
const env = { ...process.env, PATH: `${join(home, 'node_modules/.bin')}${delimiter}${process.env.PATH}` };
const buf = (...args) => execFileSync('buf', args, { cwd: scratch, env, stdio: 'inherit' });

/** Generates TypeScript for our contracts and google.rpc into a folder. */
function generate(out) {
  const rpc = join(scratch, 'googleapis/google/rpc');
  mkdirSync(rpc, { recursive: true });
  const require = createRequire(import.meta.url);
  const published = join(dirname(require.resolve('google-proto-files/package.json')), 'google/rpc');
  for (const file of ['status.proto', 'error_details.proto']) cpSync(join(published, file), join(rpc, file));
  const plugin = { local: 'protoc-gen-es', out, opt: ['target=ts', 'import_extension=js'] };
  const template = JSON.stringify({ version: 'v2', plugins: [plugin] });
  buf('generate', proto, '--template', template);
  buf('generate', join(scratch, 'googleapis'), '--template', template);
}

/** Every generated file with its content, in a fixed order. */
function readTree(folder) {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.ts'));
  return files.sort().map((file) => [file, readFileSync(join(folder, file), 'utf8')]);
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}

try {
  if (existsSync(baseline) && !acceptBreaking) {
    try {
      buf('breaking', proto, '--against', baseline);
    } catch {
      fail('The change breaks clients (above). Add instead of change, or run `pnpm gen --accept-breaking`.');
    }
  }
  if (process.exitCode !== 1) {
    const output = join(scratch, 'gen');
    const image = join(scratch, 'image.binpb');
    generate(output);
    buf('build', proto, '--exclude-source-info', '-o', image);
    if (!check) {
      rmSync(target, { recursive: true, force: true });
      cpSync(output, target, { recursive: true });
      cpSync(image, baseline);
    } else {
      if (JSON.stringify(readTree(output)) !== JSON.stringify(readTree(target))) {
        fail('packages/contracts/src/gen is stale: run `pnpm gen` and commit the result.');
      }
      if (!existsSync(baseline) || !readFileSync(image).equals(readFileSync(baseline))) {
        fail('proto/baseline.binpb is stale: run `pnpm gen` and commit the result.');
      }
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
