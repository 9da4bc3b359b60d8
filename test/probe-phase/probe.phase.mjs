import { z } from 'zod';

const count = (max) => z.int().min(0).max(max);

/**
 * A phase without a model, for tests of the engine: it works in units, stores a checkpoint every few, and fails,
 * crashes or asks for memory as it is told. What it delivers depends on units, output_bytes, seed and inputs alone.
 */
export const probePhase = {
  name: 'probe',
  version: '1.0.0',
  summary: 'Works, fails and crashes as it is told.',
  inputs: [{ name: 'inputs', artifactType: 'report', minCount: 0, maxCount: 64, summary: 'Other probes.' }],
  outputs: [{ name: 'report', artifactType: 'report', minCount: 1, maxCount: 1, summary: 'The last state.' }],
  config: z.strictObject({
    units: count(1_000_000).min(1).default(10).describe('Units of work'),
    unit_ms: count(60_000).default(0).describe('Time of a unit, ms'),
    checkpoint_every: count(1_000_000).min(1).default(5).describe('Units between checkpoints'),
    output_bytes: count(16 * 2 ** 20)
      .default(64)
      .describe('Size of the delivered text, bytes'),
    fail_first: count(1000).default(0).describe('Attempts that fail'),
    fail_at: count(1_000_000).default(0).describe('Unit at which they do'),
    fail_class: z
      .enum(['transient', 'permanent', 'resource'])
      .default('transient')
      .describe('Class of these failures'),
    crash_at: count(1_000_000).default(0).describe('Unit at which the process kills itself'),
    crashes: count(100).default(0).describe('How often it does'),
    memory_bytes: count(Number.MAX_SAFE_INTEGER).default(0).describe('Memory to fill, bytes'),
    journal_key: z
      .string()
      .regex(/^[a-z0-9._-]{0,120}$/)
      .default('')
      .describe('What the journal calls this step; no journal when empty'),
    checkpoint_interval_s: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('Leave at 0: checkpoint_every says when'),
  }),
  metrics: [{ name: 'units', unit: '1', summary: 'Units of work.' }],
  estimate: ({ memory_bytes: memoryBytes, units }) => ({ memoryBytes, parameters: 0, flop: units }),
  fallback: 'constant',
  startToCloseMs: 600_000,
  workerUrl: new URL('./probe.worker.mjs', import.meta.url),
};
