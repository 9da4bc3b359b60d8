#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write('forge is not built yet; build the workspace first: pnpm build\n');
  process.exitCode = 1;
}
