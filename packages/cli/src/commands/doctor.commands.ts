import { execFileSync } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@agentforge/errors';
import type { Command } from 'commander';
import { readProfiles } from '../config/profile-file.js';
import { CheckFailedError } from '../errors.js';
import { LOCAL_PHASES } from '../local/local-stack.js';
import { findNatsServer } from '../local/nats-plan.js';
import { findProgram } from '../local/programs.js';
import { listing } from '../output/format.js';
import { formatBytes } from '../output/units.js';
import type { Io, Session } from '../session.js';
import { action } from './action.js';

const MIN_NODE = [20, 19] as const;
const MIN_DISK_BYTES = 2 * 2 ** 30;
const MIN_MEMORY_BYTES = 2 * 2 ** 30;
const SERVICES = ['pipeline-controller', 'orchestrator', 'validators', ...LOCAL_PHASES];

interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failed';
  readonly found: string;
  /** What to do; empty when nothing is to be done. */
  readonly fix: string;
}

/** `forge doctor` */
export function addDoctorCommand(program: Command, io: Io): void {
  program
    .command('doctor')
    .description('Check this machine and the server; exit code 1 when something is missing')
    .addHelpText('after', '\nExamples:\n  $ forge doctor\n  $ forge doctor -o json')
    .action(action<object>(io, runDoctor));
}

async function runDoctor(session: Session): Promise<void> {
  const checks: Check[] = [
    checkNode(),
    checkMachine(),
    checkDisk(session.io.root),
    checkNats(session.io),
    checkCompiler(session.io),
    checkBuild(session.io.root),
    await checkCore(),
    checkThreads(session.io),
    await checkProfiles(session.io),
    ...(await checkServer(session)),
  ];
  const marks = { ok: '✔', warning: '!', failed: '✖' };
  await session.print(
    listing(
      checks,
      [
        {
          title: ' ',
          value: ({ status }) => {
            const { green, yellow, red } = session.style;
            return { ok: green, warning: yellow, failed: red }[status](marks[status]);
          },
        },
        { title: 'check', value: ({ name }) => name },
        { title: 'found', value: ({ found }) => found },
        { title: 'what to do', value: ({ fix }) => fix },
      ],
      { value: checks, name: ({ name, status }) => `${name} ${status}`, empty: '' },
    ),
  );
  const failed = checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
  if (failed.length > 0) throw new CheckFailedError(`failed: ${failed.join(', ')}`);
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  return {
    name: 'node',
    status: good ? 'ok' : 'failed',
    found: process.versions.node,
    fix: good ? '' : `install Node.js ${MIN_NODE.join('.')} or newer`,
  };
}

function checkMachine(): Check {
  const low = totalmem() < MIN_MEMORY_BYTES;
  return {
    name: 'machine',
    status: low ? 'warning' : 'ok',
    found: `${availableParallelism()} cores, ${formatBytes(totalmem())} memory, ${formatBytes(freemem())} free`,
    fix: low ? `training needs about ${formatBytes(MIN_MEMORY_BYTES)}` : '',
  };
}

function checkDisk(root: string): Check {
  const { bavail, bsize } = statfsSync(root);
  const free = bavail * bsize;
  const low = free < MIN_DISK_BYTES;
  return {
    name: 'disk',
    status: low ? 'warning' : 'ok',
    found: `${formatBytes(free)} free`,
    fix: low ? `free some space: checkpoints and artifacts need about ${formatBytes(MIN_DISK_BYTES)}` : '',
  };
}

function checkNats(io: Io): Check {
  const program = findNatsServer(io.env);
  const version = program ? versionOf(program, ['--version']) : undefined;
  return version
    ? { name: 'nats-server', status: 'ok', found: `${version} (${program})`, fix: '' }
    : {
        name: 'nats-server',
        status: 'failed',
        found: 'not found',
        fix: 'install it: apt-get install nats-server, or brew install nats-server',
      };
}

function checkCompiler(io: Io): Check {
  const missing = ['g++', 'make', 'cmake'].filter((program) => !findProgram(program, io.env));
  return {
    name: 'c++ toolchain',
    status: missing.length === 0 ? 'ok' : 'warning',
    found:
      missing.length === 0
        ? (versionOf('g++', ['-dumpfullversion']) ?? 'g++')
        : `missing: ${missing.join(', ')}`,
    fix: missing.length === 0 ? '' : `needed to build the compute core: apt-get install ${missing.join(' ')}`,
  };
}

function checkBuild(root: string): Check {
  const missing = SERVICES.filter((name) => !existsSync(join(root, 'services', name, 'dist', 'main.js')));
  return {
    name: 'build',
    status: missing.length === 0 ? 'ok' : 'failed',
    found: missing.length === 0 ? `${SERVICES.length} services` : `not built: ${missing.join(', ')}`,
    fix: missing.length === 0 ? '' : 'pnpm build',
  };
}

async function checkCore(): Promise<Check> {
  try {
    const { backendInfo } = await import('@agentforge/tensor');
    const info = backendInfo();
    const found = `${info.device}, ${info.isa}, ${info.threads} threads`;
    return { name: 'compute core', status: 'ok', found, fix: '' };
  } catch (thrown) {
    const [first = ''] = AppError.from(thrown).message.split('\n');
    return { name: 'compute core', status: 'failed', found: first, fix: 'pnpm build' };
  }
}

function checkThreads(io: Io): Check {
  const core = io.env['OPENBLAS_CORETYPE'];
  return {
    name: 'environment',
    status: core ? 'warning' : 'ok',
    found: core ? `OPENBLAS_CORETYPE=${core}` : 'nothing that slows the BLAS down',
    fix: core ? 'unset OPENBLAS_CORETYPE: it can halve the speed of matrix products' : '',
  };
}

async function checkProfiles(io: Io): Promise<Check> {
  try {
    const { current, profiles } = await readProfiles(io.env);
    const count = Object.keys(profiles).length;
    return {
      name: 'profiles',
      status: 'ok',
      found: `${count}${current ? `, using ${current}` : ''}`,
      fix: '',
    };
  } catch (thrown) {
    return {
      name: 'profiles',
      status: 'failed',
      found: AppError.from(thrown).message,
      fix: 'correct the file',
    };
  }
}

async function checkServer(session: Session): Promise<Check[]> {
  const server = await session.findServer().catch(() => undefined);
  if (server === undefined) {
    return [
      { name: 'server', status: 'warning', found: 'none is configured or running here', fix: 'forge dev' },
    ];
  }
  try {
    const { phases } = await (await session.pipeline()).listPhases({}, { deadlineMs: 3_000 });
    const names = phases.map(({ name }) => name).join(', ');
    return [
      { name: 'server', status: 'ok', found: server, fix: '' },
      phases.length > 0
        ? { name: 'phases', status: 'ok', found: names, fix: '' }
        : { name: 'phases', status: 'warning', found: 'none is registered', fix: 'start the phase services' },
    ];
  } catch (thrown) {
    const { code, message } = AppError.from(thrown);
    return [
      {
        name: 'server',
        status: 'failed',
        found: `${server}: ${code} ${message}`,
        fix: 'is it running there?',
      },
    ];
  }
}

function versionOf(program: string, args: string[]): string | undefined {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      timeout: 5_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
