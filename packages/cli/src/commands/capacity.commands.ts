import { type Pool, PoolSchema, type Queue, QueueSchema, type ResourceRequest } from '@agentforge/contracts';
import { toJson } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { listing } from '../output/format.js';
import { formatBytes, formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Io, Session } from '../session.js';
import { action } from './action.js';

/** Leases of a pool that are named; more are counted. */
const MAX_NAMED = 3;

/** `forge pool …` and `forge queue …` */
export function addCapacityCommands(program: Command, io: Io): void {
  program
    .command('pool')
    .description('Look at the resources that steps lease')
    .command('list')
    .alias('ls')
    .description('List what each host has, how much of it is leased, and by which attempts')
    .addHelpText('after', '\nExamples:\n  $ forge pool list\n  $ forge pool list -o json')
    .action(action<object>(io, listPools));
  program
    .command('queue')
    .description('Look at the queues of tasks and reports')
    .command('list')
    .alias('ls')
    .description('List how much waits in each queue, and for how long')
    .action(action<object>(io, listQueues));
}

async function listPools(session: Session): Promise<void> {
  const { pools } = await (await session.capacity()).getCapacity({});
  await session.print(
    listing(
      pools,
      [
        { title: 'pool', value: ({ name }) => printable(name) },
        { title: 'cores free', align: 'right', value: (pool) => freeOf(pool, ({ cpu }) => cpu, String) },
        {
          title: 'memory free',
          align: 'right',
          value: (pool) => freeOf(pool, ({ memoryBytes }) => memoryBytes, formatBytes),
        },
        {
          title: 'accelerators free',
          align: 'right',
          value: (pool) => freeOf(pool, ({ gpus }) => gpus, String),
        },
        { title: 'phases', value: ({ phases }) => printable(phases.join(', ')) },
        { title: 'leased by', value: holdersOf },
      ],
      {
        value: pools.map((pool) => toJson(PoolSchema, pool)),
        name: ({ name }) => name,
        empty: 'no worker advertises resources',
      },
    ),
  );
}

async function listQueues(session: Session): Promise<void> {
  const { queues } = await (await session.operations()).listQueues({});
  await session.print(
    listing(
      queues,
      [
        { title: 'queue', value: nameOf },
        { title: 'waiting', align: 'right', value: ({ waiting }) => String(waiting) },
        { title: 'in progress', align: 'right', value: ({ inProgress }) => String(inProgress) },
        {
          title: 'oldest',
          align: 'right',
          value: ({ oldestAge }) => (oldestAge ? formatSeconds(durationMs(oldestAge) / 1_000) : '–'),
        },
      ],
      {
        value: queues.map((queue) => toJson(QueueSchema, queue)),
        name: nameOf,
        empty: 'there are no queues yet',
      },
    ),
  );
}

/** "1.5 of 4"; a dash for a kind that the pool has nothing of. */
function freeOf<T extends number | bigint>(
  { free, total }: Pool,
  amount: (of: ResourceRequest) => T,
  words: (amount: T) => string,
): string {
  if (!free || !total || !amount(total)) return '–';
  return `${words(amount(free))} of ${words(amount(total))}`;
}

function holdersOf({ leases }: Pool): string {
  const named = leases.slice(0, MAX_NAMED).map(({ id }) => id);
  const more = leases.length - named.length;
  return printable(`${named.join(', ') || '–'}${more > 0 ? ` and ${more} more` : ''}`);
}

/** The phase whose tasks wait, or "reports". */
const nameOf = ({ stream, phase }: Queue): string => phase || stream.replace(/^FORGE_/, '').toLowerCase();
