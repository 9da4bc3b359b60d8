import { type Quota, QuotaSchema } from '@agentforge/contracts';
import { toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { UsageError } from '../errors.js';
import { renderTable } from '../output/table.js';
import { formatBytes } from '../output/units.js';
import type { Io, Session } from '../session.js';
import { parseBytes } from '../spec/bytes.js';
import { action, wholeNumber } from './action.js';

const count = wholeNumber(0, 2_147_483_647);

/** `forge quota …` */
export function addQuotaCommands(program: Command, io: Io): void {
  const quota = program.command('quota').description('Look at what a project may use, and limit it');
  quota
    .command('get')
    .description('Show the limits of the project and what it uses')
    .addHelpText('after', '\nExamples:\n  $ forge quota get\n  $ forge --project search quota get -o json')
    .action(action<object>(io, getQuota));
  quota
    .command('set')
    .description('Set limits of the project; 0 takes a limit away, what is not named stays')
    .option('--running-runs <count>', 'runs in progress; further ones wait', count)
    .option('--queued-runs <count>', 'runs that wait; further ones are refused', count)
    .option('--running-steps <count>', 'steps in progress over all runs; further ones wait', count)
    .option('--artifact-bytes <size>', 'bytes of artifacts, for example 50GiB')
    .option(
      '--weight <weight>',
      'share of contested resources relative to other projects',
      wholeNumber(0, 1_000),
    )
    .addHelpText('after', '\nExamples:\n  $ forge quota set --running-runs 4 --artifact-bytes 50GiB')
    .action(action<SetOptions>(io, setQuota));
}

interface SetOptions {
  readonly runningRuns?: number;
  readonly queuedRuns?: number;
  readonly runningSteps?: number;
  readonly artifactBytes?: string;
  readonly weight?: number;
}

async function getQuota(session: Session): Promise<void> {
  const { quota } = await (await session.capacity()).getQuota({ name: await nameOf(session) });
  await printQuota(session, quota);
}

async function setQuota(session: Session, options: SetOptions): Promise<void> {
  const { runningRuns, queuedRuns, runningSteps, artifactBytes, weight } = options;
  const bytes = artifactBytes === undefined ? undefined : parseBytes(artifactBytes);
  if (artifactBytes !== undefined && bytes === undefined)
    throw new UsageError(`--artifact-bytes ${artifactBytes}: expected a size, for example 50GiB`);
  const fields = {
    max_running_runs: runningRuns,
    max_queued_runs: queuedRuns,
    max_running_steps: runningSteps,
    max_artifact_bytes: bytes,
    weight,
  };
  const paths = Object.entries(fields).flatMap(([path, value]) => (value === undefined ? [] : [path]));
  if (paths.length === 0) throw new UsageError('name at least one limit; --help lists them');
  const { quota } = await (await session.capacity()).updateQuota({
    quota: {
      name: await nameOf(session),
      maxRunningRuns: runningRuns ?? 0,
      maxQueuedRuns: queuedRuns ?? 0,
      maxRunningSteps: runningSteps ?? 0,
      maxArtifactBytes: bytes ?? 0n,
      weight: weight ?? 0,
    },
    updateMask: { paths },
  });
  await printQuota(session, quota);
}

const nameOf = async (session: Session): Promise<string> => `projects/${await session.project()}/quota`;

async function printQuota(session: Session, quota: Quota | undefined): Promise<void> {
  if (!quota) return;
  const { usage } = quota;
  const rows = [
    ['runs in progress', String(usage?.runningRuns ?? 0), limitOf(quota.maxRunningRuns)],
    ['runs that wait', String(usage?.queuedRuns ?? 0), limitOf(quota.maxQueuedRuns)],
    ['steps in progress', String(usage?.runningSteps ?? 0), limitOf(quota.maxRunningSteps)],
    [
      'artifacts',
      formatBytes(usage?.artifactBytes ?? 0n),
      quota.maxArtifactBytes > 0n ? formatBytes(quota.maxArtifactBytes) : 'none',
    ],
    ['weight', '', String(quota.weight || 1)],
  ];
  await session.print({
    value: toJson(QuotaSchema, quota),
    names: [quota.name],
    table: (style) =>
      renderTable(
        rows,
        [
          { title: 'of project', value: ([what]) => what ?? '' },
          { title: 'in use', align: 'right', value: ([, used]) => used ?? '' },
          { title: 'limit', align: 'right', value: ([, , limit]) => limit ?? '' },
        ],
        style,
      ),
  });
}

const limitOf = (limit: number): string => (limit > 0 ? String(limit) : 'none');
