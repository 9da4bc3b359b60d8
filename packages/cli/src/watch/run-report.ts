import {
  type ArtifactRef,
  Comparison,
  type Metric,
  type Run,
  type Step,
  StepState,
  type Verdict,
} from '@agentforge/contracts';
import { durationMs, timestampDate } from '@bufbuild/protobuf/wkt';
import { sparkline } from '../output/plot.js';
import type { Style } from '../output/style.js';
import { renderTable } from '../output/table.js';
import { formatBytes, formatQuantity, formatSeconds, shortDigest } from '../output/units.js';
import { printable } from '../output/width.js';
import type { SeriesView } from './curves.js';
import { waitLines } from './run-waits.js';
import { isFinal, paintRunState, stepMark } from './states.js';
import { drawHistory, drawPolicy } from './step-lines.js';

/** Comparisons of a check that passed that are shown; all of them are in the JSON output. */
const MAX_DETAILS = 3;

const SIGNS: Readonly<Record<Comparison, string>> = {
  [Comparison.UNSPECIFIED]: ' ',
  [Comparison.AT_MOST]: '≤',
  [Comparison.AT_LEAST]: '≥',
  [Comparison.EQUAL]: '=',
};

/** Curves by step, as far as they are known. */
export type CurvesByStep = ReadonlyMap<string, readonly SeriesView[]>;

/** The whole run for people: phases, durations, metrics, a sparkline of each curve, checks, artifacts. */
export function drawRunReport(run: Run, curves: CurvesByStep, style: Style): string {
  const steps = run.steps.map((step) => drawStep(run, step, curves.get(step.spec?.id ?? '') ?? [], style));
  return [...drawRunHead(run, style), ...steps.flatMap((lines) => ['', ...lines])].join('\n');
}

/** What a run is called, how far it is, and why it failed or is left alone. */
export function drawRunHead(run: Run, style: Style): string[] {
  const seconds = elapsed(run);
  const facts = [
    run.name,
    run.graph ? `seed ${run.graph.seed}` : '',
    seconds === undefined ? '' : formatSeconds(seconds),
    isFinal(run.state) ? '' : progressOf(run),
  ].filter((fact) => fact !== '');
  const head = [
    `${paintRunState(run.state, style)}  ${style.bold(printable(run.displayName || run.name))}`,
    style.dim(facts.join(' · ')),
  ];
  if (run.quarantine)
    head.push(style.red(printable(`quarantined: ${run.quarantine.code}: ${run.quarantine.message}`)));
  if (run.failure) head.push(style.red(printable(`${run.failure.code}: ${run.failure.message}`)));
  for (const { field, description } of run.failure?.fieldViolations ?? []) {
    if (!run.failure?.message.includes(description))
      head.push(style.red(printable(`  ${field}: ${description}`)));
  }
  return head;
}

/** `63 %`, `63 % · ETA 5m 00s`: the share of the steps that is done, and the time left once that is known. */
export function progressOf({ fraction, eta }: Pick<Run, 'fraction' | 'eta'>): string {
  const percent = `${Math.floor(fraction * 100)} %`;
  return eta ? `${percent} · ETA ${formatSeconds(durationMs(eta) / 1_000)}` : percent;
}

/** Seconds from a run's start to its end, or until now. */
export function elapsed(run: Pick<Run, 'createTime' | 'startTime' | 'endTime'>): number | undefined {
  const start = run.startTime ?? run.createTime;
  if (!start) return undefined;
  const end = run.endTime ? timestampDate(run.endTime) : new Date();
  return (end.getTime() - timestampDate(start).getTime()) / 1_000;
}

/** One step of a run for people. */
export function drawStep(run: Run, step: Step, curves: readonly SeriesView[], style: Style): string[] {
  const id = step.spec?.id ?? '';
  const usage = step.result?.usage;
  const facts = [
    step.result?.outcome ?? (StepState[step.state] ?? '').toLowerCase(),
    usage ? formatSeconds(usage.wallSeconds) : '',
    usage?.peakMemoryBytes ? `peak ${formatBytes(usage.peakMemoryBytes)}` : '',
    usage?.backend ? `${usage.backend}, ${usage.threads} threads` : '',
    step.attempts.length > 1 ? `${step.attempts.length} attempts` : '',
    step.usedFallback ? `fallback ${step.fallback}`.trim() : '',
    step.cachedFrom ? 'from the step cache' : '',
  ].filter((fact) => fact !== '');
  const lines = [
    `${stepMark(step.state, style)} ${style.bold(id)}  ${step.spec?.phase ?? ''}  ${style.dim(facts.join(' · '))}`,
  ];
  if (step.failure && !run.failure?.message.includes(step.failure.message))
    lines.push(`  ${style.red(printable(`${step.failure.code}: ${step.failure.message}`))}`);
  lines.push(...indent(drawHistory(step, style)), ...indent(drawPolicy(step, style)));
  lines.push(...waitLines(step.waits).map((line) => `  ${style.yellow('…')} ${printable(line)}`));
  lines.push(...indent(drawMetrics(step.result?.metrics ?? [], style)));
  lines.push(...indent(drawCurves(curves, style)));
  lines.push(...indent(drawVerdicts(step, style)));
  lines.push(...indent(drawArtifacts(step, style)));
  return lines;
}

/** A table of what was measured of several subjects (models), a column each; other metrics on lines of their own. */
function drawMetrics(metrics: readonly Metric[], style: Style): string[] {
  const counts = new Map<string, number>();
  for (const { subject } of metrics) counts.set(subject, (counts.get(subject) ?? 0) + 1);
  const hasSeveral = ({ subject }: Metric) => subject !== '' && (counts.get(subject) ?? 0) > 1;
  const shared = new Set(metrics.filter(hasSeveral).map(labelOf));
  const hasColumn = (metric: Metric) => metric.subject !== '' && shared.has(labelOf(metric));
  const lines = metrics
    .filter((metric) => !hasColumn(metric))
    .map((metric) => {
      const label = [labelOf(metric), printable(metric.subject)].filter((part) => part !== '').join(' ');
      return `${style.dim(label)}  ${formatQuantity(metric.value, metric.unit)}`;
    });
  const subjects = [...new Set(metrics.filter(hasColumn).map((metric) => metric.subject))];
  if (subjects.length === 0) return lines;
  const labels = [...new Set(metrics.filter(hasColumn).map(labelOf))];
  const find = (subject: string, label: string) =>
    metrics.find((metric) => metric.subject === subject && labelOf(metric) === label);
  const table = renderTable(
    labels,
    [
      { title: 'metric', value: (label) => label },
      ...subjects.map((subject) => ({
        title: printable(subject),
        align: 'right' as const,
        value: (label: string) => {
          const metric = find(subject, label);
          return metric ? formatQuantity(metric.value, metric.unit) : '–';
        },
      })),
    ],
    style,
  );
  return [...lines, ...table.split('\n')];
}

function labelOf(metric: Metric): string {
  return metric.split ? `${metric.name} (${metric.split})` : metric.name;
}

function drawCurves(curves: readonly SeriesView[], style: Style): string[] {
  return curves.flatMap((curve) => {
    const values = curve.points.map(({ y }) => y);
    const [first, last] = [values[0], values[values.length - 1]];
    if (first === undefined || last === undefined) return [];
    const name = curve.subject ? `${curve.series} ${curve.subject}` : curve.series;
    const range = `${formatQuantity(first, '')} → ${formatQuantity(last, '')}`;
    return [`${style.cyan(sparkline(values, 40))}  ${printable(name)}  ${style.dim(range)}`];
  });
}

/** Checks that passed and compared nothing on one line together; every other one on a line of its own. */
function drawVerdicts(step: Step, style: Style): string[] {
  const plain = step.verdicts.filter(
    ({ valid, details, warnings }) => valid && details.length + warnings.length === 0,
  );
  const names = plain.map(({ validator }) => validator).join(', ');
  const others = step.verdicts.filter((verdict) => !plain.includes(verdict));
  return [
    ...(names ? [`${style.green('✔')} ${names}`] : []),
    ...others.flatMap((verdict) => drawVerdict(verdict, style)),
  ];
}

function drawVerdict(verdict: Verdict, style: Style): string[] {
  const mark = verdict.valid ? style.green('✔') : verdict.blocking ? style.red('✖') : style.yellow('!');
  const details = verdict.details
    .filter(({ comparison }) => comparison !== Comparison.UNSPECIFIED)
    .map(
      ({ name, value, threshold, comparison, unit }) =>
        `${printable(name)} ${formatQuantity(value, unit)} ${SIGNS[comparison]} ${formatQuantity(threshold, unit)}`,
    );
  const shown = verdict.valid ? details.slice(0, MAX_DETAILS) : details;
  const more = details.length > shown.length ? [`${details.length - shown.length} more`] : [];
  const findings = [...verdict.errors, ...verdict.warnings].map(
    ({ field, description }) => `    ${printable(`${field}: ${description}`)}`,
  );
  return [`${mark} ${verdict.validator}  ${style.dim([...shown, ...more].join(' · '))}`, ...findings];
}

function drawArtifacts(step: Step, style: Style): string[] {
  const rows = (step.result?.outputs ?? []).flatMap(({ port, artifacts }) =>
    artifacts.map((artifact) => ({ port, artifact })),
  );
  if (rows.length === 0) return [];
  const cell = (value: (artifact: ArtifactRef) => string) => (row: { artifact: ArtifactRef }) =>
    value(row.artifact);
  return renderTable(
    rows,
    [
      { title: 'output', value: ({ port }) => port },
      { title: 'name', value: cell(({ name }) => printable(name)) },
      { title: 'size', align: 'right', value: cell(({ sizeBytes }) => formatBytes(sizeBytes)) },
      { title: 'digest', value: cell(({ digest }) => shortDigest(digest)) },
    ],
    style,
  ).split('\n');
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

/** Milliseconds an attempt may take, as text. */
export function formatTimeout(duration: Parameters<typeof durationMs>[0] | undefined): string {
  return duration ? formatSeconds(durationMs(duration) / 1_000) : '–';
}
