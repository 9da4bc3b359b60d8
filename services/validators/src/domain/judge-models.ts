import type { ModelInspection } from './inspect-model.js';
import { type Finding, type Judgement, judgement, type Measurement } from './verdict.js';

/** A model on a port, and what reading it showed. */
export interface InspectedModel {
  /** Where it is, for findings: "outputs.models[1]". */
  readonly field: string;
  readonly name: string;
  readonly digest: string;
  readonly inspection: ModelInspection;
}

/** Whether models are intact: files parse, shapes fit the configuration, every value is finite. */
export function judgeIntegrity(models: readonly InspectedModel[]): Judgement {
  const errors = models.flatMap(({ field, inspection }) =>
    inspection.problems.map((p) => ({ field: `${field}/${p.field}`, description: p.description })),
  );
  const details: Measurement[] = models.map(({ field, inspection }) => ({
    name: `${field}: values that are not finite`,
    value: inspection.nonFinite,
    threshold: 0,
    comparison: 'equal',
    unit: '1',
  }));
  return judgement('model-integrity', { errors, details });
}

/** Fields of a configuration that must agree for weights to be merged. */
const STRUCTURE = [
  'vocabSize',
  'hiddenSize',
  'numLayers',
  'numHeads',
  'numKvHeads',
  'headDim',
  'intermediateSize',
  'tieWordEmbeddings',
  'ropeTheta',
  'ropeScaling',
  'attentionBias',
  'mlpBias',
  'slidingWindow',
  'memory',
  'recursion',
] as const;

/** Whether models on one port share architecture and tokenizer, so that a phase can combine them. */
export function judgeCompatibility(models: readonly InspectedModel[]): Judgement {
  const errors: Finding[] = [];
  const [first, ...others] = models;
  for (const other of others) {
    if (first?.inspection.config === undefined || other.inspection.config === undefined) continue;
    for (const field of STRUCTURE) {
      const [a, b] = [first, other].map(({ inspection }) =>
        JSON.stringify(inspection.config?.[field] ?? null),
      );
      if (a !== b)
        errors.push({
          field: `${other.field}/config.json/${field}`,
          description: `is ${b}; ${first.field} ("${first.name}") has ${a}`,
        });
    }
    if (first.inspection.tokenizerDigest !== other.inspection.tokenizerDigest)
      errors.push({
        field: `${other.field}/tokenizer.json`,
        description: `differs from that of ${first.field} ("${first.name}")`,
      });
  }
  return judgement('model-compatibility', {
    errors,
    recommendations: ['give models that descend from the same founders'],
  });
}
