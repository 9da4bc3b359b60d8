import { z } from 'zod';

/** Delivers nothing, so that nothing is judged; takes as long as it is told. */
export const benchPhase = {
  name: 'bench',
  version: '1.0.0',
  summary: 'Does nothing, for as long as it is told.',
  inputs: [],
  outputs: [],
  config: z.strictObject({
    duration_ms: z.int().min(0).max(3_600_000).default(0).describe('Time of the step'),
    checkpoint_interval_s: z.number().min(0.01).max(60).default(0.2).describe('Seconds between checkpoints'),
  }),
  metrics: [],
  estimate: () => ({ memoryBytes: 1_000_000, parameters: 0, flop: 0 }),
  startToCloseMs: 3_600_000,
  workerUrl: new URL('./bench.worker.mjs', import.meta.url),
};
