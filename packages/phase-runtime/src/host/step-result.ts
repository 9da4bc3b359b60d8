import { type StepResult, StepResultSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import type { WorkerResult } from '../worker/messages.js';

/** What a worker delivered, as it is reported. Peak memory is that of the process, which its threads share. */
export function toStepResult(result: WorkerResult): StepResult {
  return create(StepResultSchema, {
    outcome: result.outcome,
    outputs: result.outputs.map(({ port, artifacts }) => ({ port, artifacts: [...artifacts] })),
    metrics: result.metrics.map((metric) => ({ ...metric })),
    usage: {
      wallSeconds: result.wallSeconds,
      peakMemoryBytes: BigInt(process.resourceUsage().maxRSS) * 1024n,
      backend: result.backend,
      threads: result.threads,
    },
  });
}
