import { type Evidence, type Finding, failures, type Measurement } from '../verdict.js';
import type { Gate, GateSubject } from './gate.js';
import { Measured } from './measured.js';

/** Correlation that coherence and utility must exceed when the configuration does not say. */
const MIN_CORRELATION = 0.5;

/** Quality gates of the phase that teaches a model to think. */
export const QUIETSTAR_GATES: readonly Gate[] = [
  {
    name: 'gate/quietstar/gain',
    phase: 'quietstar',
    description:
      'Thoughts give the true tokens more log-probability than as many pauses do, interval above 0, or the step says no_gain',
    blocking: true,
    judge: (subject) => judgeClaim(subject, 'gain_low', 'lower end of the gain over pauses', 0, 'nats/token'),
  },
  {
    name: 'gate/quietstar/ablation',
    phase: 'quietstar',
    description: 'Without its thoughts the model is less accurate, or the step says no_gain',
    blocking: true,
    judge: (subject) => judgeClaim(subject, 'ablation', 'accuracy lost without thoughts', 0, '1'),
  },
  {
    name: 'gate/quietstar/coherence',
    phase: 'quietstar',
    description: 'Thoughts that the model is sure of help more than others, or the step says no_gain',
    blocking: true,
    judge: (subject) => {
      const asked = subject.config['min_correlation'];
      const floor = typeof asked === 'number' ? asked : MIN_CORRELATION;
      const name = 'correlation of coherence and utility';
      return judgeClaim(subject, 'coherence_correlation', name, floor, '1');
    },
  },
  {
    name: 'gate/quietstar/honest-outcome',
    phase: 'quietstar',
    description:
      'The outcome fits what is handed on: no_gain and fallback hand the input model on, unchanged',
    blocking: true,
    judge: judgeOutcome,
  },
];

/** Without a claim of gain the number is shown and nothing is asked of it: it may even be missing. */
function judgeClaim(
  { result }: GateSubject,
  metric: string,
  name: string,
  floor: number,
  unit: string,
): Evidence {
  const measured = new Measured(result);
  const value = measured.value(metric, 'report', '');
  const details: Measurement[] = Number.isNaN(value)
    ? []
    : [{ name, value, threshold: floor, comparison: 'shown', unit }];
  const errors: Finding[] = details
    .filter(() => !(value > floor))
    .map(() => ({
      field: name,
      description: `is ${value.toPrecision(6)}; must be above ${floor} for the outcome "improved"`,
    }));
  return {
    details,
    errors: result.outcome === 'improved' ? [...measured.missing, ...errors] : [],
    recommendations: ['report no_gain and hand the input model on', 'raise steps'],
  };
}

function judgeOutcome({ result, inputModels, outputModels }: GateSubject): Evidence {
  const known = ['improved', 'no_gain', 'fallback'];
  if (!known.includes(result.outcome))
    return {
      errors: [
        { field: 'outcome', description: `is "${result.outcome}"; must be one of ${known.join(', ')}` },
      ],
    };
  const measured = new Measured(result);
  const errors: Finding[] = [];
  const details: Measurement[] = [];
  const [input] = inputModels;
  for (const output of outputModels) {
    const { parameters, weightsDigest } = output.inspection;
    const said = parameters === undefined ? Number.NaN : measured.value('parameters', '', '');
    if (parameters !== undefined && !Number.isNaN(said)) {
      details.push({
        name: 'parameters',
        value: parameters,
        threshold: said,
        comparison: 'equal',
        unit: '1',
      });
    }
    if (result.outcome !== 'improved' && weightsDigest !== input?.inspection.weightsDigest) {
      errors.push({
        field: output.field,
        description: `must be the input model, unchanged, for the outcome "${result.outcome}"`,
      });
    }
  }
  return { details, errors: [...measured.missing, ...errors, ...failures(details)] };
}
