import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { toolsBin, toolsDir, toolsEnv } from './paths.mjs';
import { runStep } from './processes.mjs';
import { fail, say } from './progress.mjs';

/** Folders that hold programs but are not on everybody's PATH. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** What is needed, any of its names, and what package managers call it. */
const PROGRAMS = [
  {
    names: ['g++', 'c++', 'clang++'],
    packages: { 'apt-get': 'g++', dnf: 'gcc-c++', apk: 'g++', brew: 'gcc' },
  },
  { names: ['make', 'ninja'], packages: { 'apt-get': 'make', dnf: 'make', apk: 'make', brew: 'make' } },
  { names: ['cmake'], packages: { 'apt-get': 'cmake', dnf: 'cmake', apk: 'cmake', brew: 'cmake' } },
  {
    names: ['nats-server'],
    packages: { 'apt-get': 'nats-server', dnf: 'nats-server', apk: 'nats-server', brew: 'nats-server' },
  },
];

const INSTALL = {
  'apt-get': ['install', '-y', '--no-install-recommends'],
  dnf: ['install', '-y'],
  apk: ['add', '--no-cache'],
  brew: ['install'],
};

/** Installs the programs that are missing where this user may, and otherwise says exactly what to install. */
export async function ensurePrograms() {
  if (process.platform === 'win32') fail('Agent Forge runs on Linux and macOS; on Windows, use WSL');
  if (missing().length === 0) return;
  const manager = Object.keys(INSTALL).find((name) => find(name));
  say(`missing: ${missing().map(label).join(', ')}${manager ? `; asking ${manager}` : ''}`);
  if (manager === 'apt-get') await installWithApt();
  else if (manager) await install(manager);
  const left = missing();
  if (left.length > 0) fail(advice(left, manager));
}

async function installWithApt() {
  const withoutNats = missing().filter(({ names }) => names[0] !== 'nats-server');
  const needsNats = withoutNats.length < missing().length;
  if (needsNats && !(await unpackNats()) && (await asRoot('apt-get', ['update']))) await unpackNats();
  if (withoutNats.length === 0) return;
  if (!(await install('apt-get'))) {
    await asRoot('apt-get', ['update']);
    await install('apt-get');
  }
}

/**
 * Takes nats-server out of its package into .forge/tools: needs no root, and no daemon is started on this machine,
 * which installing the package would do.
 */
async function unpackNats() {
  const folder = join(toolsDir, 'nats');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const download = await runStep('apt-get', ['download', '-o', 'APT::Sandbox::User=root', 'nats-server'], {
    cwd: folder,
  });
  const archive = readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (download.code !== 0 || !archive) return false;
  const unpacked = await runStep('dpkg-deb', ['-x', archive, '.'], { cwd: folder });
  const program = ['usr/sbin', 'usr/bin'].map((path) => join(folder, path, 'nats-server')).find(isExecutable);
  if (unpacked.code !== 0 || !program) return false;
  mkdirSync(toolsBin, { recursive: true });
  rmSync(join(toolsBin, 'nats-server'), { force: true });
  symlinkSync(relative(toolsBin, program), join(toolsBin, 'nats-server'));
  rmSync(join(folder, archive));
  return true;
}

async function install(manager) {
  const packages = missing().map((program) => program.packages[manager]);
  if (packages.length === 0) return true;
  const args = [...INSTALL[manager], ...packages];
  return manager === 'brew' ? (await runStep(manager, args)).code === 0 : asRoot(manager, args);
}

/** Runs a command as root, or not at all: no password is ever asked for. */
async function asRoot(command, args) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if (process.getuid?.() === 0) return (await runStep(command, args, { env })).code === 0;
  if (!find('sudo')) return false;
  return (
    (await runStep('sudo', ['-n', 'env', 'DEBIAN_FRONTEND=noninteractive', command, ...args])).code === 0
  );
}

function missing() {
  return PROGRAMS.filter(({ names }) => !names.some((name) => works(name)));
}

function works(name) {
  const program = find(name);
  if (!program) return false;
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

function find(name) {
  const folders = [...toolsEnv().PATH.split(delimiter), ...MORE_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function label({ names }) {
  return names[0];
}

function advice(programs, manager) {
  const name = manager ?? 'apt-get';
  const packages = programs.map((program) => program.packages[name]);
  const command = [
    name === 'brew' ? '' : 'sudo ',
    name,
    ' ',
    INSTALL[name].join(' '),
    ' ',
    packages.join(' '),
  ].join('');
  return [
    `These programs are missing and could not be installed: ${programs.map(label).join(', ')}.`,
    'Install them and start again, for example:',
    `  ${command}`,
    ...(packages.includes('nats-server')
      ? ['nats-server is also at https://github.com/nats-io/nats-server/releases']
      : []),
  ].join('\n');
}
