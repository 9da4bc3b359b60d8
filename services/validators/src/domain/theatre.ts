import type { ReportInspection } from './inspect-report.js';
import type { InspectedModel } from './judge-models.js';
import type { MetricValue, ResultFacts } from './subject.js';
import { type Finding, figure, type Judgement, judgement } from './verdict.js';

/**
 * Losses that are measured anew at every point: the model or the text is another one, so equal values were not measured. Every
 * other curve may honestly stand still: a schedule, the best of a search so far, the mean of one that has settled, a reward of 0.
 */
const MEASURED_ANEW = /^loss(\/|$)/;
/** The least loss so far stands still while nothing better is found. */
const RUNNING_EXTREME = /\/(best|min|max)$/;
/** A curve with fewer points may repeat by chance. */
const MIN_POINTS = 5;
/** Bits a byte can carry, and what a wrong model may add. */
const MAX_BITS_PER_BYTE = 8.5;

/**
 * Flags work that was shown rather than done: losses that never move, an output that is the input while a gain is
 * claimed, a measure beyond its bound.
 */
export function judgeTheatre(
  result: ResultFacts,
  reports: readonly ReportInspection[],
  inputs: readonly InspectedModel[],
  outputs: readonly InspectedModel[],
): Judgement {
  const errors = [
    ...metricFindings(result.metrics),
    ...constantCurves(reports),
    ...disagreeingReports(result, reports),
    ...unchangedOutputs(result, inputs, outputs),
  ];
  return judgement('theatre', { errors, recommendations: ['look at how the phase measures'] });
}

function metricFindings(metrics: readonly MetricValue[]): Finding[] {
  const findings: Finding[] = [];
  for (const { name, value, split, subject } of metrics) {
    const field = `metrics.${[name, split, subject].filter((part) => part !== '').join('/')}`;
    if (!Number.isFinite(value)) findings.push({ field, description: 'is not finite' });
    if (name === 'bits_per_byte' && (value <= 0 || value > MAX_BITS_PER_BYTE))
      findings.push({
        field,
        description: `is ${figure(value)}; text carries more than 0 and at most ${MAX_BITS_PER_BYTE} bit/byte`,
      });
  }
  const losses = metrics.filter(({ name }) => name === 'loss');
  const [first] = losses;
  // On one split equal models have equal losses; on another text not even one and the same model has.
  const splits = new Set(losses.map(({ split }) => split)).size;
  if (first && losses.length > 2 && splits > 1 && losses.every(({ value }) => value === first.value))
    findings.push({
      field: 'metrics.loss',
      description: `is ${figure(first.value)} for all ${losses.length} subjects and splits`,
    });
  return findings;
}

function constantCurves(reports: readonly ReportInspection[]): Finding[] {
  return reports
    .flatMap(({ curves }) => curves)
    .filter(({ series, values }) => values.length >= MIN_POINTS && mustMove(series))
    .filter(({ values }) => values.every((value) => value === values[0]))
    .map(({ series, subject, values }) => ({
      field: `report.curves.${series}${subject === '' ? '' : `/${subject}`}`,
      description: `is ${figure(values[0] ?? 0)} at all ${values.length} points; it never moves`,
    }));
}

const mustMove = (series: string): boolean => MEASURED_ANEW.test(series) && !RUNNING_EXTREME.test(series);

function disagreeingReports(result: ResultFacts, reports: readonly ReportInspection[]): Finding[] {
  return reports
    .filter(({ outcome }) => outcome !== '' && outcome !== result.outcome)
    .map(({ outcome }) => ({
      field: 'report.outcome',
      description: `is "${outcome}"; the step reported "${result.outcome}"`,
    }));
}

function unchangedOutputs(
  result: ResultFacts,
  inputs: readonly InspectedModel[],
  outputs: readonly InspectedModel[],
): Finding[] {
  if (result.outcome !== 'improved') return [];
  return outputs.flatMap((output) => {
    const same = inputs.find(
      ({ inspection }) =>
        inspection.weightsDigest !== '' && inspection.weightsDigest === output.inspection.weightsDigest,
    );
    return same
      ? [
          {
            field: output.field,
            description: `claims a gain and has the weights of ${same.field} ("${same.name}")`,
          },
        ]
      : [];
  });
}
