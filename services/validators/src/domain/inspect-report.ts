import type { Finding } from './verdict.js';

/** A curve of a report. */
export interface Curve {
  readonly series: string;
  readonly subject: string;
  readonly values: readonly number[];
}

/** What a report says, as far as it is judged. */
export interface ReportInspection {
  readonly problems: readonly Finding[];
  readonly phase: string;
  readonly outcome: string;
  readonly curves: readonly Curve[];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads a report: JSON with `phase`, `outcome`, `metrics` and `curves`. */
export function inspectReport(text: string): ReportInspection {
  const nothing = { phase: '', outcome: '', curves: [] };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return { ...nothing, problems: [{ field: '', description: `is not JSON: ${(error as Error).message}` }] };
  }
  if (!isRecord(parsed))
    return { ...nothing, problems: [{ field: '', description: 'is not a JSON object' }] };
  const problems: Finding[] = [];
  const textOf = (field: string): string => {
    const value = parsed[field];
    if (typeof value === 'string' && value !== '') return value;
    problems.push({ field, description: 'is missing or not a text' });
    return '';
  };
  const phase = textOf('phase');
  const outcome = textOf('outcome');
  if (!Array.isArray(parsed['metrics'])) problems.push({ field: 'metrics', description: 'is not a list' });
  const curves = Array.isArray(parsed['curves']) ? parsed['curves'] : [];
  if (!Array.isArray(parsed['curves'])) problems.push({ field: 'curves', description: 'is not a list' });
  return {
    phase,
    outcome,
    curves: curves.flatMap((curve, i) => readCurve(curve, `curves[${i}]`, problems)),
    problems,
  };
}

function readCurve(curve: unknown, field: string, problems: Finding[]): Curve[] {
  if (!isRecord(curve) || typeof curve['series'] !== 'string' || !Array.isArray(curve['points'])) {
    problems.push({ field, description: 'must have a series and points' });
    return [];
  }
  const values: number[] = [];
  curve['points'].forEach((point, i) => {
    const value: unknown = Array.isArray(point) ? point[1] : undefined;
    if (typeof value === 'number' && Number.isFinite(value)) values.push(value);
    else problems.push({ field: `${field}.points[${i}]`, description: 'is not [step, finite value]' });
  });
  return [{ series: curve['series'], subject: String(curve['subject'] ?? ''), values }];
}
