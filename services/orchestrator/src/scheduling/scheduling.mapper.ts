import {
  type Lease,
  LeaseSchema,
  type Pool,
  PoolSchema,
  type ResourceRequest,
  ResourceRequestSchema,
  WaitKind,
} from '@agentforge/contracts';
import type { LedgerEntry, StepRecord } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Wait } from '../engine/admission/wait.js';
import type { AdvertisedPool } from '../ports/capacity.port.js';
import type { Grant, Refusal, Request } from './domain/plan.js';
import { type Amounts, isSomething, minus, NOTHING, plus } from './domain/resources.js';

/** The amounts alone. */
export const amountsIn = ({ cpu, memoryBytes, gpus, gpuMemoryBytes }: Amounts): Amounts => ({
  cpu,
  memoryBytes,
  gpus,
  gpuMemoryBytes,
});

/** A request of another replica. */
export const toRequest = (queued: Omit<Request, 'amounts'> & Amounts): Request => {
  const { id, run, project, phase, priority, sinceMs } = queued;
  return { id, run, project, phase, priority, sinceMs, amounts: amountsIn(queued) };
};

/** An entry of the ledger as the plan sees it. */
export const toGrant = (entry: LedgerEntry): Grant => {
  const { id, run, project, pool, gpuIndices } = entry;
  return { id, run, project, pool, gpuIndices, amounts: amountsIn(entry) };
};

/** A grant as the ledger keeps it. */
export const toEntry = ({ amounts, ...grant }: Grant, holder: string, expiresMs: number): LedgerEntry => ({
  ...grant,
  ...amounts,
  holder,
  expiresMs,
});

/** Amounts as messages carry them. */
export const toResources = (amounts: Amounts): MessageInitShape<typeof ResourceRequestSchema> => ({
  cpu: amounts.cpu,
  memoryBytes: BigInt(Math.round(amounts.memoryBytes)),
  gpus: amounts.gpus,
  gpuMemoryBytes: BigInt(Math.round(amounts.gpuMemoryBytes)),
});

/** An entry of the ledger as clients and workers see it. */
export const toLease = (entry: LedgerEntry): Lease =>
  create(LeaseSchema, {
    id: entry.id,
    pool: entry.pool,
    granted: toResources(entry),
    gpuIndices: [...entry.gpuIndices],
    expireTime: timestampFromMs(entry.expiresMs),
  });

/** What a step asks for. */
export function amountsOf(request: ResourceRequest | undefined): Amounts {
  if (request === undefined) return NOTHING;
  const { cpu, memoryBytes, gpus, gpuMemoryBytes } = request;
  return { cpu, memoryBytes: Number(memoryBytes), gpus, gpuMemoryBytes: Number(gpuMemoryBytes) };
}

/** Whether a step asks for resources. */
export const needsResources = (step: StepRecord): boolean =>
  step.spec.resources !== undefined && isSomething(amountsOf(step.spec.resources));

/** A pool with the leases that hold it. @param entries  the whole ledger */
export function toPool(
  { name, total, phases, updateMs }: AdvertisedPool,
  entries: readonly LedgerEntry[],
): Pool {
  const leases = entries.filter(({ pool }) => pool === name);
  return create(PoolSchema, {
    name,
    total: toResources(total),
    free: toResources(minus(total, leases.reduce<Amounts>(plus, NOTHING))),
    leases: leases.map(toLease),
    phases: [...phases].sort(),
    updateTime: timestampFromMs(Math.round(updateMs)),
  });
}

/** Why a request waits, for people. */
export function toWait(refusal: Refusal, { project, phase }: Request): Wait {
  const { position } = refusal;
  switch (refusal.kind) {
    case 'project-runs':
    case 'project-steps': {
      const [what, name] =
        refusal.kind === 'project-runs' ? ['runs', 'max_running_runs'] : ['steps', 'max_running_steps'];
      const detail = `project "${project}" has ${refusal.limit} ${what} in progress, as many as its quota allows (${name})`;
      return { kind: WaitKind.PROJECT_LIMIT, position, detail };
    }
    case 'no-pool':
      return {
        kind: WaitKind.RESOURCES,
        position,
        detail: `no worker of the phase "${phase}" advertises resources`,
      };
    case 'resources': {
      const { pool, missing, isTooLarge } = refusal;
      const detail = isTooLarge
        ? `no pool is large enough; the nearest is "${pool}"`
        : `no pool has free what it asks for; the nearest is "${pool}"`;
      return {
        kind: WaitKind.RESOURCES,
        position,
        detail,
        missing: create(ResourceRequestSchema, toResources(missing)),
      };
    }
  }
}
