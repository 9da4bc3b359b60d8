#!/usr/bin/env node
/**
 * Writes the skeleton of a service: contract, the files every service has, and tests that pass.
 * Usage: pnpm new:service NAME [--summary TEXT] [--root DIR]
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fill, fillFolder, pascalCase, writeNewFiles } from './template.mjs';

const usage =
  'usage: pnpm new:service NAME [--summary TEXT]   NAME: lower-case letters, digits and "-", at most 40';
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { summary: { type: 'string' }, root: { type: 'string' }, help: { type: 'boolean' } },
});
const [name] = positionals;
if (values.help || !name || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 40) {
  console.error(usage);
  process.exit(2);
}

const root = values.root ?? fileURLToPath(new URL('../../..', import.meta.url));
const templates = fileURLToPath(new URL('../templates', import.meta.url));
const count = existsSync(join(root, 'services')) ? readdirSync(join(root, 'services')).length : 0;
const area = name.replaceAll('-', '');
const words = {
  name,
  area,
  Name: pascalCase(name),
  summary: values.summary ?? `The ${name} service.`,
  grpcPort: String(7100 + 10 * count),
  httpPort: String(7101 + 10 * count),
};

try {
  const contract = fill(readFileSync(join(templates, 'proto/service.proto.tmpl'), 'utf8'), words);
  const files = fillFolder(join(templates, 'service'), words).map(([path, text]) => [
    `services/${name}/${path}`,
    text,
  ]);
  writeNewFiles(root, [[`proto/agentforge/${area}/v1/${area}_service.proto`, contract], ...files]);
  const index = join(root, 'packages/contracts/src/index.ts');
  if (existsSync(index)) {
    appendFileSync(index, `export * from './gen/agentforge/${area}/v1/${area}_service_pb.js';\n`);
  }
  console.log(
    'next: pnpm install && pnpm gen && pnpm format && pnpm build, then edit the contract and run the tests',
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
