import { CacheExplanationSchema, CachePolicy } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { toJson } from '@bufbuild/protobuf';
import { UsageError } from '../errors.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';

/** Says whether a step takes over an earlier result; if it does not, what differs from the nearest one that is kept. */
export async function explainCache(session: Session, runId: string, stepId?: string): Promise<void> {
  if (stepId === undefined)
    throw new UsageError('--cache explains one step: forge run explain RUN STEP --cache');
  const client = await session.pipeline();
  const run = await session.runName(runId);
  const { cache } = await client.explainStep({ run, stepId, includeCache: true });
  if (cache === undefined) throw new AppError('UNIMPLEMENTED', 'the server knows no step cache');
  await session.print({
    value: toJson(CacheExplanationSchema, cache),
    names: cache.key === '' ? [] : [cache.key],
    table: () =>
      [
        `${cache.hit ? 'hit' : 'miss'} (${policyName(cache.policy)}): ${cache.message}`,
        ...(cache.key === '' ? [] : [`key ${cache.key}`]),
        ...cache.differences.map(({ field, here, there }) => `  ${field}: here ${here}, there ${there}`),
      ]
        .map(printable)
        .join('\n'),
  });
}

const policyName = (policy: CachePolicy): string =>
  (CachePolicy[policy] ?? 'unknown').toLowerCase().replace('_', '-');
