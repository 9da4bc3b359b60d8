#!/usr/bin/env node
/**
 * From a fresh clone to a running target: installs what is missing, builds, runs. Needs Node.js and nothing else.
 *
 *   bootstrap.mjs demo [options]   the demo; options are those of "forge demo"
 *   bootstrap.mjs test [part]      every check and test; parts are those of packages/tooling/bin/verify.mjs
 *   bootstrap.mjs setup            everything but running
 *
 * A second start finds everything in place and needs no network.
 */
import { join } from 'node:path';
import { buildWorkspace, installDependencies } from './dependencies.mjs';
import { withFolderLock } from './folder-lock.mjs';
import { ensurePackageManager } from './package-manager.mjs';
import { root, toolsEnv } from './paths.mjs';
import { endWithParent, runTarget, stopRequested } from './processes.mjs';
import { fail, say } from './progress.mjs';
import { ensurePrograms } from './system-programs.mjs';

const MIN_NODE = [20, 19];
const TARGETS = {
  demo: {
    build: true,
    script: join('packages', 'cli', 'bin', 'forge.mjs'),
    args: (rest) => ['demo', ...rest],
  },
  test: {
    build: false,
    script: join('packages', 'tooling', 'bin', 'verify.mjs'),
    args: (rest) => (rest.length > 0 ? rest : ['all']),
  },
  setup: { build: true },
};

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  fail(
    `Node.js ${process.versions.node} is too old; install ${MIN_NODE.join('.')} or newer (https://nodejs.org)`,
  );
}
const [name, ...rest] = process.argv.slice(2);
const target = Object.hasOwn(TARGETS, name ?? '') ? TARGETS[name] : undefined;
if (!target) fail(`usage: bootstrap.mjs ${Object.keys(TARGETS).join('|')} [options]`, 2);

endWithParent();
await withFolderLock(async () => {
  await ensurePrograms();
  await ensurePackageManager();
  await installDependencies();
  if (target.build) await buildWorkspace();
});
if (stopRequested()) process.exit(130);
if (target.script) {
  process.exitCode = await runTarget(join(root, target.script), target.args(rest), { name, env: toolsEnv() });
} else {
  say('ready');
}
