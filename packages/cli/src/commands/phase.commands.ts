import { type PhaseDescriptor, PhaseDescriptorSchema, type Port } from '@agentforge/contracts';
import { toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { listing } from '../output/format.js';
import type { Style } from '../output/style.js';
import { renderTable } from '../output/table.js';
import { printable } from '../output/width.js';
import type { Io, Session } from '../session.js';
import { schemaFields } from '../spec/schema-fields.js';
import { formatTimeout } from '../watch/run-report.js';
import { action } from './action.js';

/** `forge phase …` */
export function addPhaseCommands(program: Command, io: Io): void {
  const phase = program.command('phase').description('Look at the phases that are installed');
  phase.command('list').alias('ls').description('List phases').action(action<object>(io, listPhases));
  phase
    .command('describe <phase>')
    .description('What a phase reads, delivers, measures, and how it is configured')
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge phase describe cognate\n  $ forge phase describe evomerge -o json',
    )
    .action(action<object>(io, describePhase));
}

async function listPhases(session: Session): Promise<void> {
  const { phases } = await (await session.pipeline()).listPhases({});
  await session.print(
    listing(
      phases,
      [
        { title: 'phase', value: ({ name }) => name },
        { title: 'version', value: ({ version }) => version },
        { title: 'reads', value: ({ inputs }) => inputs.map(({ name }) => name).join(', ') },
        { title: 'delivers', value: ({ outputs }) => outputs.map(({ name }) => name).join(', ') },
        { title: 'summary', value: ({ summary }) => printable(summary) },
      ],
      {
        value: phases.map((phase) => toJson(PhaseDescriptorSchema, phase)),
        name: ({ name }) => name,
        empty: 'no phases are installed; are their services running?',
      },
    ),
  );
}

async function describePhase(session: Session, _options: object, name: string): Promise<void> {
  const { phase } = await (await session.pipeline()).getPhase({ phase: name });
  if (!phase) return;
  await session.print({
    value: toJson(PhaseDescriptorSchema, phase),
    names: [phase.name],
    table: (style) => drawPhase(phase, style),
  });
}

function drawPhase(phase: PhaseDescriptor, style: Style): string {
  const ports = (list: readonly Port[]) =>
    renderTable(
      list,
      [
        { title: 'port', value: (port) => port.name },
        { title: 'type', value: (port) => port.artifactType },
        { title: 'count', value: countOf },
        { title: 'summary', value: (port) => printable(port.summary) },
      ],
      style,
    );
  const fields = renderTable(
    schemaFields(phase.configSchema ?? {}),
    [
      { title: 'field', value: (field) => field.path },
      { title: 'type', value: (field) => field.type },
      { title: 'default', value: (field) => field.default },
      { title: 'bounds', value: (field) => field.bounds },
      { title: 'description', value: (field) => printable(field.description) },
    ],
    style,
  );
  const metrics = renderTable(
    phase.metrics,
    [
      { title: 'metric', value: (metric) => metric.name },
      { title: 'unit', value: (metric) => metric.unit },
      { title: 'summary', value: (metric) => printable(metric.summary) },
    ],
    style,
  );
  const head = `${style.bold(phase.name)} ${phase.version}  ${printable(phase.summary)}`;
  const facts = style.dim(
    `time limit ${formatTimeout(phase.startToClose)} · fallback ${phase.fallback || 'none'}`,
  );
  const section = (title: string, body: string) => ['', style.bold(title), body];
  return [
    head,
    facts,
    ...section('Reads', ports(phase.inputs)),
    ...section('Delivers', ports(phase.outputs)),
    ...section('Configuration', fields),
    ...section('Measures', metrics),
  ].join('\n');
}

function countOf({ minCount, maxCount }: Port): string {
  if (minCount === maxCount) return String(minCount);
  return `${minCount}–${maxCount === 0 ? '1000' : maxCount}`;
}
