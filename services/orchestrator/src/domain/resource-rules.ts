import type { PoolDraft, ResourceDraft, StepDraft, Violation } from './graph.js';

const GIB = 2 ** 30;

/** Kinds of resources: the field, its bounds, and how people read it. */
const KINDS = {
  cpu: { field: 'cpu', max: 4_096, text: (value: number) => `${value} cores` },
  memoryBytes: { field: 'memory_bytes', max: 2 ** 50, text: gib },
  gpus: { field: 'gpus', max: 64, text: (value: number) => `${value} accelerators` },
  gpuMemoryBytes: { field: 'gpu_memory_bytes', max: 2 ** 50, text: gib },
} as const;

type Kind = keyof typeof KINDS;
const NAMES = Object.keys(KINDS) as Kind[];

/**
 * What is wrong with the resources that a step asks for: amounts out of bounds, or more than any pool that serves its
 * phase has in all. A phase that no pool serves now refuses nothing: its workers may be on their way.
 */
export function resourceViolations(step: StepDraft, path: string, pools: readonly PoolDraft[]): Violation[] {
  const { resources } = step;
  if (resources === undefined) return [];
  const bad = NAMES.flatMap((kind) => boundViolations(kind, resources[kind], path));
  if (bad.length > 0) return bad;
  const serving = pools.filter(({ phases }) => phases.has(step.phase));
  if (serving.length === 0 || serving.some(({ total }) => lacking(resources, total).length === 0)) return [];
  const nearest = serving.reduce((best, pool) =>
    lacking(resources, pool.total).length < lacking(resources, best.total).length ? pool : best,
  );
  return lacking(resources, nearest.total).map((kind) => violation(kind, resources[kind], path, serving));
}

function boundViolations(kind: Kind, value: number, path: string): Violation[] {
  const { field, max } = KINDS[kind];
  const isWhole = kind === 'cpu' || Number.isInteger(value);
  if (value >= 0 && value <= max && isWhole) return [];
  return [
    {
      field: `${path}.resources.${field}`,
      description: `is ${value}; must be 0 to ${max}${isWhole ? '' : ', whole'}`,
    },
  ];
}

/** Kinds of which a pool has less in all than is asked for. */
function lacking(asked: ResourceDraft, total: ResourceDraft): Kind[] {
  const needsOne = asked.gpuMemoryBytes > 0 && asked.gpus === 0 ? { ...asked, gpus: 1 } : asked;
  return NAMES.filter((kind) => needsOne[kind] > total[kind]);
}

function violation(kind: Kind, value: number, path: string, pools: readonly PoolDraft[]): Violation {
  const { field, text } = KINDS[kind];
  const largest = pools.reduce((best, pool) => (pool.total[kind] > best.total[kind] ? pool : best));
  const has = largest.total[kind];
  const fix =
    has >= value
      ? `the pool "${largest.name}" has that, but not all of the rest; ask for less`
      : `the largest pool, "${largest.name}", has ${text(has)}; ask for less, or start a worker on a larger host`;
  return { field: `${path}.resources.${field}`, description: `is ${text(value)}; ${fix}` };
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}
