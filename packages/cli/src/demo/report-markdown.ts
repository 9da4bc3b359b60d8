import { sparkline } from '../output/plot.js';
import { formatBytes, formatNumber, formatQuantity, formatSeconds } from '../output/units.js';
import type { RunView } from '../watch/run-view.js';
import type { DemoReport, ReportMetric, ReportPhase } from './demo-report.js';

/** The report for people, in Markdown. Curves are those that were seen while the run went on. */
export function reportMarkdown(report: DemoReport, view: RunView): string {
  const { machine, final } = report;
  const lines = [
    `# ${report.run.slice(report.run.lastIndexOf('/') + 1)}: ${final.outcome}`,
    '',
    `Seed ${report.seed} · ${machine.cpu}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)} · ${machine.os} · Node ${machine.node}`,
    ...report.phases.flatMap((phase, index) => phaseSection(phase, view, index)),
    '',
    '## Final model',
    '',
    `\`${final.model.digest}\`, ${formatBytes(final.model.sizeBytes)}, in \`${final.model.path}/\` (Hugging Face layout).`,
    '',
    ...metricTable(final.metrics),
    '',
    '```python',
    'from transformers import AutoModelForCausalLM, AutoTokenizer',
    `model = AutoModelForCausalLM.from_pretrained("${final.model.path}")`,
    `tokenizer = AutoTokenizer.from_pretrained("${final.model.path}")`,
    '```',
    '',
    '## Sample',
    '',
    ...quote(`${final.sample.prompt}${final.sample.text}`),
    '',
  ];
  return lines.join('\n');
}

function phaseSection(phase: ReportPhase, view: RunView, index: number): string[] {
  const curves = view.steps[index]?.curves.list() ?? [];
  const facts = [
    phase.outcome,
    formatSeconds(phase.wallSeconds),
    `peak memory ${formatBytes(phase.peakMemoryBytes)}`,
    phase.backend,
  ];
  return [
    '',
    `## ${phase.phase}`,
    '',
    facts.filter((fact) => fact !== '').join(' · '),
    '',
    ...originLines(phase),
    ...metricTable(phase.metrics),
    '',
    ...curves.flatMap(({ series, subject, points }) => {
      const values = points.map(({ y }) => y);
      const [first, last] = [values[0], values[values.length - 1]];
      if (first === undefined || last === undefined) return [];
      return [
        `    ${sparkline(values, 50)}  ${series} ${subject} ${formatNumber(first)} → ${formatNumber(last)}`,
      ];
    }),
    '',
    '| artifact | size | digest |',
    '|---|---|---|',
    ...phase.artifacts.map(
      ({ name, sizeBytes, digest }) => `| ${name} | ${formatBytes(sizeBytes)} | \`${digest}\` |`,
    ),
  ];
}

/** Where the result comes from, when it is not the phase's own work. */
function originLines({ fallback, cachedFrom }: ReportPhase): string[] {
  const lines: string[] = [];
  if (fallback) lines.push(`Fallback **${fallback.name}**, because: ${fallback.cause || 'not said'}`, '');
  if (cachedFrom)
    lines.push(`Result of step ${cachedFrom.step} of \`${cachedFrom.run}\`, from the step cache.`, '');
  return lines;
}

function metricTable(metrics: readonly ReportMetric[]): string[] {
  if (metrics.length === 0) return [];
  return [
    '| metric | of | split | value |',
    '|---|---|---|---|',
    ...metrics.map(
      ({ name, subject, split, value, unit }) =>
        `| ${name} | ${subject ?? ''} | ${split} | ${formatQuantity(value, unit)} |`,
    ),
  ];
}

/** As an indented block, which nothing inside can end. */
function quote(text: string): string[] {
  return text.split('\n').map((line) => `    ${line}`);
}
