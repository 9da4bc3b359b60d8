import type { InspectedModel } from '../judge-models.js';
import { type Evidence, type Finding, failures, type Measurement } from '../verdict.js';
import type { Gate, GateSubject } from './gate.js';
import { Measured } from './measured.js';

/** Subject of the model that is handed on, in metrics. */
const BEST = 'best';
/** Subject of the plain mean of all parents, in metrics. */
const UNIFORM_AVERAGE = 'uniform-average';

/** Quality gates of the phase that evolves merges. */
export const EVOMERGE_GATES: readonly Gate[] = [
  {
    name: 'gate/evomerge/beats-parents',
    phase: 'evomerge',
    description:
      'The best merge has a lower loss than every parent on the report split, or the step says no_gain',
    blocking: true,
    judge: (subject) => judgeGain(subject, parentSubjects(subject.inputModels)),
  },
  {
    name: 'gate/evomerge/beats-uniform-average',
    phase: 'evomerge',
    description:
      'The best merge has a lower loss than the uniform average on the report split, or the step says no_gain',
    blocking: true,
    judge: (subject) => judgeGain(subject, [UNIFORM_AVERAGE]),
  },
  {
    name: 'gate/evomerge/honest-outcome',
    phase: 'evomerge',
    description: 'The outcome fits what is handed on: no_gain hands the best parent on, unchanged',
    blocking: true,
    judge: judgeOutcome,
  },
];

/** Names of the parents in metrics: a name that was used before gets "#2", "#3" in input order. */
function parentSubjects(parents: readonly InspectedModel[]): string[] {
  const seen = new Map<string, number>();
  return parents.map(({ name }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
}

/** Without a claim of gain the numbers are shown and nothing is asked of them. */
function judgeGain({ result }: GateSubject, rivals: readonly string[]): Evidence {
  const measured = new Measured(result);
  const isClaimed = result.outcome === 'improved';
  const best = measured.value('loss', 'report', BEST);
  const details = rivals.map((rival): Measurement => {
    const loss = measured.value('loss', 'report', rival);
    const name = `${rival}: its loss - loss of the best`;
    return { name, value: loss - best, threshold: 0, comparison: 'shown', unit: 'nats/token' };
  });
  const known = details.filter(({ value }) => Number.isFinite(value));
  const errors: Finding[] = known
    .filter(({ value }) => isClaimed && value <= 0)
    .map(({ name, value }) => ({
      field: name,
      description: `is ${value.toPrecision(6)} nats/token; must be above 0 for the outcome "improved"`,
    }));
  return {
    details: known,
    errors: result.outcome === 'fallback' ? [] : [...measured.missing, ...errors],
    recommendations: ['report no_gain and hand the best parent on', 'raise generations or population'],
  };
}

function judgeOutcome(subject: GateSubject): Evidence {
  const { result, inputModels, outputModels } = subject;
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
  for (const output of outputModels) {
    const { parameters, weightsDigest } = output.inspection;
    const said = parameters === undefined ? Number.NaN : measured.value('parameters', '', BEST);
    if (parameters !== undefined && !Number.isNaN(said))
      details.push({
        name: 'parameters',
        value: parameters,
        threshold: said,
        comparison: 'equal',
        unit: '1',
      });
    if (result.outcome === 'no_gain' && weightsDigest !== bestParent(subject)?.inspection.weightsDigest)
      errors.push({
        field: output.field,
        description: 'must be the best parent, unchanged, for the outcome "no_gain"',
      });
  }
  if (result.outcome === 'no_gain' && inputModels.length === 0)
    errors.push({ field: 'inputs.models', description: 'is empty; "no_gain" hands a parent on' });
  return { details, errors: [...measured.missing, ...errors, ...failures(details)] };
}

/** The parent with the lowest loss on the report split; the first of equals. */
function bestParent({ result, inputModels }: GateSubject): InspectedModel | undefined {
  const measured = new Measured(result);
  const subjects = parentSubjects(inputModels);
  const losses = subjects.map((subject) => measured.value('loss', 'report', subject));
  const lowest = Math.min(...losses.filter((loss) => !Number.isNaN(loss)));
  return inputModels[losses.indexOf(lowest)];
}
