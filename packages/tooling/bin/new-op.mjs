#!/usr/bin/env node
/**
 * Writes the skeleton of a native op and of its gradient: kernel, checks, C++ test, and the lines that make it callable.
 * The skeleton computes y = x², builds and passes its tests; replace the formula and the shapes.
 * Usage: pnpm new:op NAME [--root DIR]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fill, writeNewFiles } from './template.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { root: { type: 'string' }, help: { type: 'boolean' } },
});
const [camel] = positionals;
if (values.help || !camel || !/^[a-z][a-zA-Z0-9]{0,39}$/.test(camel)) {
  console.error(
    'usage: pnpm new:op NAME   NAME: camelCase letters and digits, at most 40, for example relu2',
  );
  process.exit(2);
}

const root = values.root ?? fileURLToPath(new URL('../../..', import.meta.url));
const templates = fileURLToPath(new URL('../templates/op', import.meta.url));
const snake = camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const words = { camel, snake };
const template = (name) => fill(readFileSync(join(templates, name), 'utf8'), words);

/** Where the op is made known: file, the text before which the lines go, and the lines. */
const insertions = [
  [
    'native/src/core/kernels.h',
    '};\n\n/** Rows per partial sum',
    `  void (*${snake})(const float* x, float* y, int64_t n);\n` +
      `  void (*${snake}_backward)(const float* dy, const float* x, float* dx, int64_t n);\n`,
  ],
  [
    'native/src/cpu/table.cc',
    '\n\nFORGE_CPU_KERNELS(FORGE_DECLARE_KERNEL)',
    ` \\\n  USE(${snake}) USE(${snake}_backward)`,
  ],
  [
    'native/src/ops/ops.h',
    '\n}  // namespace forge::ops',
    `\n// ${snake}.cc\nStatus ${snake}(const Tensor& x, Tensor& y);\n` +
      `Status ${snake}_backward(const Tensor& dy, const Tensor& x, Tensor& dx);\n`,
  ],
  [
    'native/src/addon/exports.cc',
    '    // key-value cache',
    `    {"${camel}", bind<ops::${snake}>},\n    {"${camel}Backward", bind<ops::${snake}_backward>},\n`,
  ],
  [
    'native/src/addon.ts',
    '\n  // -- key-value cache',
    `\n  /** x² of every element. */\n  ${camel}(x: Handle): Handle;\n  ${camel}Backward(dy: Handle, x: Handle): Handle;\n`,
  ],
];

/** The edited files, all or none: a place that is not there exactly once is an error. */
function insertLines() {
  const edited = new Map();
  for (const [path, anchor, lines] of insertions) {
    const text = edited.get(path) ?? readFileSync(join(root, path), 'utf8');
    if (text.split(anchor).length !== 2)
      throw new Error(`${path}: the place before ${JSON.stringify(anchor)} is not there`);
    edited.set(
      path,
      text.replace(anchor, () => lines + anchor),
    );
  }
  return edited;
}

try {
  const edited = insertLines();
  writeNewFiles(root, [
    [`native/src/cpu/${snake}.cc`, template('cpu.cc.tmpl')],
    [`native/src/ops/${snake}.cc`, template('ops.cc.tmpl')],
    [`native/test/cpp/${snake}_test.cc`, template('test.cc.tmpl')],
  ]);
  for (const [path, text] of edited) {
    writeFileSync(join(root, path), text);
    console.log(`edited ${path}`);
  }
  console.log(
    'next: edit the formula; add the op to packages/tensor/src/ops and a row to test/conformance/operations.ts;',
  );
  console.log('      pnpm --filter @agentforge/native run test:cpp');
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
