#!/usr/bin/env node
/**
 * Checks which way imports point (presets/boundaries.mjs). Exits 1 and names every import that is not allowed.
 * Usage: boundaries.mjs [--root DIR]
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import rules from '../presets/boundaries.mjs';

const rootFlag = process.argv.indexOf('--root');
const root = rootFlag > 0 ? process.argv[rootFlag + 1] : fileURLToPath(new URL('../../..', import.meta.url));
process.chdir(root);

const { enhancedResolveOptions, ...options } = rules.options;
const folders = ['packages', 'services', 'native'].filter((folder) => existsSync(folder));
const { output } = await cruise(
  folders.map((folder) => `${folder}/**/src`),
  { ...options, validate: true, ruleSet: { forbidden: rules.forbidden } },
  enhancedResolveOptions,
);

for (const { rule, from, to, cycle } of output.summary.violations) {
  const path = cycle ? cycle.map((step) => step.name).join(' -> ') : to;
  console.error(`${rule.name}: ${from} -> ${path}`);
  console.error(`  ${rules.forbidden.find((candidate) => candidate.name === rule.name)?.comment ?? ''}`);
}
console.log(
  `boundaries: ${output.summary.totalCruised} files, ${output.summary.violations.length} violations`,
);
if (output.summary.totalCruised === 0) {
  console.error(`boundaries: found no sources below ${root}`);
  process.exitCode = 1;
}
if (output.summary.violations.length > 0) process.exitCode = 1;
