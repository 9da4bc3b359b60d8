import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { LocalStack } from '../local/local-stack.js';
import { LogFollower } from '../local/log-follower.js';
import { parseExtraService, parseReplicas } from '../local/replicas.js';
import { renderTable } from '../output/table.js';
import type { Io, Session } from '../session.js';
import { action } from './action.js';

/** `forge dev` */
export function addDevCommand(program: Command, io: Io): void {
  program
    .command('dev')
    .description('Start NATS and every service on this machine, until Ctrl-C')
    .option('--data <folder>', 'folder for events, artifacts and logs', join(io.root, '.forge'))
    .option('--replicas <list>', 'processes per service, for example orchestrator=2,phase-cognate=2')
    .option(
      '--service <name=file>',
      'a service of your own beside ours; may be repeated',
      (one: string, all: string[]) => [...all, one],
      [],
    )
    .option('--follow', 'print the logs of the services')
    .addHelpText(
      'after',
      `
Everything listens on loopback, on free ports. Other forge commands in this folder find it by themselves.
A service that dies is started again. Replicas share the work; any of them may be stopped or killed. One stack per data folder; several on one machine do not disturb each other.

Examples:
  $ forge dev
  $ forge dev --data /tmp/forge --follow
  $ forge dev --replicas orchestrator=2,phase-cognate=2
  $ forge dev --service phase-mine=./dist/main.js`,
    )
    .action(action<DevOptions>(io, runDev));
}

interface DevOptions {
  readonly data: string;
  readonly follow?: boolean;
  readonly replicas?: string;
  readonly service: readonly string[];
}

async function runDev(session: Session, options: DevOptions): Promise<void> {
  const { io, style } = session;
  const signal = io.interruption();
  const dataDir = resolve(io.cwd, options.data);
  const replicas = options.replicas === undefined ? {} : parseReplicas(options.replicas);
  const extra = options.service.map((one) => parseExtraService(one, io.cwd));
  const stack = await LocalStack.start(
    {
      root: io.root,
      dataDir,
      replicas,
      extra,
      env: io.env,
      command: 'forge dev',
      notify: (line) => session.remark(session.errorStyle.yellow(line)),
      progress: (name) => session.remark(session.errorStyle.dim(`starting ${name}`)),
    },
    signal,
  );
  const follower = options.follow
    ? new LogFollower(stack.logDir, (line) => io.out.write(`${line}\n`))
    : undefined;
  try {
    const table = renderTable(
      stack.list(),
      [
        { title: 'process', value: ({ name }) => name },
        { title: 'pid', align: 'right', value: ({ pid }) => String(pid ?? '–') },
        { title: 'address', value: ({ address }) => address },
        { title: 'health and metrics', value: ({ http }) => (http ? `http://${http}` : '') },
      ],
      style,
    );
    io.out.write(
      `${table}\n\nserver ${style.bold(stack.server)}  (elsewhere: export FORGE_SERVER=${stack.server})\ndata   ${dataDir}\nlogs   ${stack.logDir}\n`,
    );
    session.remark(session.errorStyle.dim('Ctrl-C stops everything'));
    await Promise.race([stack.failed, untilAborted(signal)]);
  } finally {
    follower?.close();
    session.remark(session.errorStyle.dim('stopping'));
    await stack.stop();
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
