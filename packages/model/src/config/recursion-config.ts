import { z } from 'zod';

/** How often the blocks are run on their own results. */
export const recursionSchema = z.strictObject({
  latentSteps: z
    .int()
    .min(1)
    .max(64)
    .describe('Refinements of the latent state before each one of the answer, n'),
  cycles: z
    .int()
    .min(1)
    .max(16)
    .describe('Cycles of a supervision step, T; only the last one has a gradient'),
  supervisionSteps: z.int().min(1).max(64).describe('Answers that are given and trained one after the other'),
  haltThreshold: z
    .number()
    .min(0.001)
    .max(0.999)
    .describe('Probability of being right above which a position keeps its answer'),
});

/** How often the blocks are run on their own results. @see RecursiveReasoner */
export type RecursionConfig = Readonly<z.infer<typeof recursionSchema>>;

/** How often the blocks run in a forward pass that never halts. */
export function netCalls({ latentSteps, cycles, supervisionSteps }: RecursionConfig): number {
  return supervisionSteps * cycles * (latentSteps + 1);
}
