/** Amounts of resources. A field that is 0 is nothing of that kind. */
export interface Amounts {
  /** Processor cores. */
  readonly cpu: number;
  readonly memoryBytes: number;
  /** Whole accelerators. */
  readonly gpus: number;
  /** Memory on each accelerator; of a pool: what each has. */
  readonly gpuMemoryBytes: number;
}

/** Nothing at all. */
export const NOTHING: Amounts = { cpu: 0, memoryBytes: 0, gpus: 0, gpuMemoryBytes: 0 };

/** Kinds that leases divide among themselves; memory on an accelerator goes with the accelerator. */
export const SHARED_KINDS = ['cpu', 'memoryBytes', 'gpus'] as const;

/** Rounding of fractions of cores must not keep the last one from being granted. */
const EPSILON = 1e-9;

/** Whether anything is asked for. */
export const isSomething = (asked: Amounts): boolean =>
  asked.cpu > 0 || asked.memoryBytes > 0 || asked.gpus > 0 || asked.gpuMemoryBytes > 0;

/** Both together. Memory on accelerators does not add up: the larger one counts. */
export const plus = (a: Amounts, b: Amounts): Amounts => ({
  cpu: a.cpu + b.cpu,
  memoryBytes: a.memoryBytes + b.memoryBytes,
  gpus: a.gpus + b.gpus,
  gpuMemoryBytes: Math.max(a.gpuMemoryBytes, b.gpuMemoryBytes),
});

/** What is left, never below nothing. The accelerators that are left have the memory they had. */
export const minus = (a: Amounts, b: Amounts): Amounts => ({
  cpu: Math.max(0, a.cpu - b.cpu),
  memoryBytes: Math.max(0, a.memoryBytes - b.memoryBytes),
  gpus: Math.max(0, a.gpus - b.gpus),
  gpuMemoryBytes: a.gpuMemoryBytes,
});

/** What of a request there is not; nothing when it fits. */
export const missingOf = (asked: Amounts, free: Amounts): Amounts => ({
  cpu: positive(asked.cpu - free.cpu),
  memoryBytes: positive(asked.memoryBytes - free.memoryBytes),
  gpus: positive(Math.max(asked.gpus, asked.gpuMemoryBytes > 0 ? 1 : 0) - free.gpus),
  gpuMemoryBytes: positive(asked.gpuMemoryBytes - free.gpuMemoryBytes),
});

/** Whether a request fits. */
export const fits = (asked: Amounts, free: Amounts): boolean => !isSomething(missingOf(asked, free));

/** Largest share of any kind that the amounts have of a total; 0 of what there is none of. */
export function dominantShare(held: Amounts, total: Amounts): number {
  let share = 0;
  for (const kind of SHARED_KINDS) if (total[kind] > 0) share = Math.max(share, held[kind] / total[kind]);
  return share;
}

const positive = (value: number): number => (value > EPSILON ? value : 0);
