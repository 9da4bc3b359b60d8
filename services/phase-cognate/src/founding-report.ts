import type { PhaseContext, PhaseMetricValue } from '@agentforge/phase-runtime/worker';
import type { CognateConfig } from './domain/cognate-config.js';
import { planFounders } from './domain/founder-plan.js';
import type { Founded } from './founding.js';

/** The report of the phase: JSON, the same bytes for the same configuration, inputs and seed. */
export function foundingReport(
  context: PhaseContext<CognateConfig>,
  { checked, data, recorder, shape, tokenizer }: Founded,
  metrics: readonly PhaseMetricValue[],
): Uint8Array {
  const { splits, removedBytes, overlap } = checked;
  const report = {
    phase: 'cognate',
    outcome: 'created',
    seed: String(context.seed),
    config: context.config,
    model: shape,
    base_model: context.inputs('base_models')[0]?.ref.digest ?? null,
    tokenizer: { ids: tokenizer.vocabSize },
    data: {
      splits: Object.fromEntries(
        (['train', 'fitness', 'report'] as const).map((name) => [
          name,
          { bytes: splits[name].sizeBytes, tokens: data[name].tokens.length },
        ]),
      ),
      held_out_bytes_removed: removedBytes,
      held_out_13gram_overlap: overlap,
    },
    founders: planFounders(context.config).map(({ name, specialisation, sequenceLength, batchSize }) => ({
      name,
      specialisation,
      sequence_length: sequenceLength,
      batch_size: batchSize,
    })),
    metrics,
    curves: recorder.curves(),
  };
  return new TextEncoder().encode(`${JSON.stringify(report, null, 1)}\n`);
}
