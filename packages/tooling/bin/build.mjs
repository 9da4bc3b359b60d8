#!/usr/bin/env node
/**
 * Compiles ./src of the current package to ./dist: TypeScript to ES2022 modules with source
 * maps and decorator metadata. Specs are left out; files whose source is gone are removed.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { transform } from '@swc/core';

const options = JSON.parse(await readFile(new URL('../presets/swc.json', import.meta.url), 'utf8'));
const sources = (await readdir('src', { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && /\.ts$/.test(entry.name) && !/\.(spec|d)\.ts$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name));

await rm('dist', { recursive: true, force: true });
for (const source of sources) {
  const target = join('dist', relative('src', source)).replace(/\.ts$/, '.js');
  const output = await transform(await readFile(source, 'utf8'), {
    ...options,
    swcrc: false,
    filename: source,
    sourceFileName: relative(dirname(target), source),
  });
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, `${output.code}//# sourceMappingURL=${target.split('/').pop()}.map\n`);
  await writeFile(`${target}.map`, output.map ?? '');
}
