import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolsDir, toolsEnv } from './paths.mjs';
import { runStep } from './processes.mjs';
import { fail, say } from './progress.mjs';

const VERSION = '12.21.0';

/** What the registry must have delivered, whichever registry it is. */
const INTEGRITY = {
  'node_modules/pnpm':
    'sha512-Zv2CeO4ok1zpUXktNDZ/869cQyonVkRYIwKVM4NbjaUpu+C+UTCv1W7QcT+4eJ5Hutgtk71a4v5UsVVi1idu8A==',
  'node_modules/@pnpm/exe.linux-x64':
    'sha512-8eufCjHXspKbNS/kh8q4Q0gqJoOuvC4Q5pgos6XS8By/nAMtP+jf8F1Cw9er840kfAX+PJ/ts+A9qnLE91rvXQ==',
  'node_modules/@pnpm/exe.linux-arm64':
    'sha512-4Oj/iF2TDCe2lcH0n4TupPR5sSdrNLclJB6xBElLMPCUOAvBhdf2rRlSaO5M4erJ6g4Fyy7YTXTpcmfFsKyxEA==',
};

/** Makes the exact pnpm available to this workspace; nothing is installed globally. */
export async function ensurePackageManager() {
  if (installedVersion() === VERSION) return;
  say(`installing pnpm ${VERSION} into .forge/tools`);
  mkdirSync(toolsDir, { recursive: true });
  writeFileSync(join(toolsDir, 'package.json'), '{ "private": true }\n');
  const args = [
    'install',
    '--prefix',
    toolsDir,
    '--no-audit',
    '--no-fund',
    '--save-exact',
    `pnpm@${VERSION}`,
  ];
  const { code, output } = await runStep('npm', args, { env: npmEnv() });
  if (code !== 0) fail(`npm could not install pnpm ${VERSION}:\n${output}`);
  const wrong = wrongPackages();
  if (wrong.length > 0) {
    rmSync(join(toolsDir, 'node_modules'), { recursive: true, force: true });
    fail(
      `the registry delivered something else than pnpm ${VERSION}: the digest of ${wrong.join(', ')} differs`,
    );
  }
  if (installedVersion() !== VERSION) fail(`pnpm ${VERSION} was installed but does not start:\n${output}`);
}

function installedVersion() {
  try {
    const options = { encoding: 'utf8', env: toolsEnv(), cwd: toolsDir, stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('pnpm', ['--version'], options).trim();
  } catch {
    return undefined;
  }
}

/** Names of installed packages whose digest differs from the one known for this version. */
function wrongPackages() {
  const lock = JSON.parse(readFileSync(join(toolsDir, 'node_modules', '.package-lock.json'), 'utf8'));
  return Object.entries(INTEGRITY)
    .filter(([path, integrity]) => (lock.packages[path]?.integrity ?? integrity) !== integrity)
    .map(([path]) => path.slice('node_modules/'.length));
}

/** Without what an outer npm run says about itself: npm would take it for settings. */
function npmEnv() {
  return {
    npm_config_prefix: undefined,
    npm_config_local_prefix: undefined,
    npm_config_workspace: undefined,
  };
}
