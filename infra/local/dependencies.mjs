import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { forgeDir, root } from './paths.mjs';
import { runStep } from './processes.mjs';
import { fail, say } from './progress.mjs';

const stamp = join(forgeDir, 'stamps', 'install');

/** Installs the locked dependencies, unless exactly these are installed already. */
export async function installDependencies() {
  const wanted = fingerprint();
  if (existsSync(join(root, 'node_modules', '.modules.yaml')) && readStamp() === wanted) return;
  say('installing dependencies');
  const args = ['install', '--frozen-lockfile', '--prefer-offline', '--reporter=append-only'];
  const { code, output } = await runStep('pnpm', args, { env: { CI: 'true' } });
  if (code !== 0) fail(`pnpm install failed:\n${output}`);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

/** Builds what changed: the compute core and every package and service. */
export async function buildWorkspace() {
  say('building (the first time: the C++ compute core, some minutes on two cores)');
  const { code, output } = await runStep('nx', ['run-many', '-t', 'build', '--outputStyle=static']);
  if (code !== 0) fail(`${output}\nthe build failed; the end of its output is above`);
}

/** Changes with whatever decides what is installed. */
function fingerprint() {
  const hash = createHash('sha256').update(
    `${process.versions.modules} ${process.platform} ${process.arch}\n`,
  );
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json'])
    hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function readStamp() {
  try {
    return readFileSync(stamp, 'utf8');
  } catch {
    return undefined;
  }
}
