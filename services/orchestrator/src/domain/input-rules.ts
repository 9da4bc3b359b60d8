import type { Binding, PhaseFacts, PortFacts, StepDraft, Violation } from './graph.js';
import { knownNames } from './suggest.js';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Fewest and most artifacts that a source can deliver. */
interface Count {
  readonly min: number;
  readonly max: number;
}

/**
 * What is wrong with the inputs of a step: unknown and missing ports, unknown sources, artifact types and counts
 * that do not fit, malformed digests.
 */
export function inputViolations(
  step: StepDraft,
  path: string,
  phase: PhaseFacts,
  steps: ReadonlyMap<string, StepDraft>,
  phases: ReadonlyMap<string, PhaseFacts>,
): Violation[] {
  const violations: Violation[] = [];
  const counts = new Map<string, Count>();
  step.inputs.forEach((binding, i) => {
    const field = `${path}.inputs[${i}]`;
    const port = phase.inputs.find(({ name }) => name === binding.port);
    if (port === undefined) {
      const known = phase.inputs.map(({ name }) => name);
      violations.push({
        field: `${field}.port`,
        description: `names the unknown input port "${binding.port}" of phase "${phase.name}"; ${knownNames(binding.port, known)}`,
      });
      return;
    }
    const source = judgeSource(binding, port, field, steps, phases);
    violations.push(...source.violations);
    const sum = counts.get(port.name) ?? { min: 0, max: 0 };
    counts.set(port.name, { min: sum.min + source.count.min, max: sum.max + source.count.max });
  });
  for (const port of phase.inputs) violations.push(...countViolations(port, counts.get(port.name), path));
  return violations;
}

function judgeSource(
  binding: Binding,
  port: PortFacts,
  field: string,
  steps: ReadonlyMap<string, StepDraft>,
  phases: ReadonlyMap<string, PhaseFacts>,
): { violations: Violation[]; count: Count } {
  const { source } = binding;
  const anyCount = { min: 0, max: Number.POSITIVE_INFINITY };
  if (source.kind === 'none') {
    const description = 'has no source; set step_output or artifacts';
    return { violations: [{ field, description }], count: anyCount };
  }
  if (source.kind === 'artifacts') {
    const violations = source.refs.flatMap((ref, j) =>
      refViolations(ref, port, `${field}.artifacts.refs[${j}]`),
    );
    return { violations, count: { min: source.refs.length, max: source.refs.length } };
  }
  const producer = steps.get(source.stepId);
  if (producer === undefined) {
    const description = `names the unknown step "${source.stepId}"; ${knownNames(source.stepId, [...steps.keys()])}`;
    return { violations: [{ field: `${field}.step_output.step_id`, description }], count: anyCount };
  }
  const facts = producer.kind === 'phase' ? phases.get(producer.phase) : undefined;
  if (facts === undefined) return { violations: [], count: anyCount };
  const output = facts.outputs.find(({ name }) => name === source.output);
  if (output === undefined) {
    const known = facts.outputs.map(({ name }) => name);
    const description = `names the unknown output "${source.output}" of phase "${facts.name}"; ${knownNames(source.output, known)}`;
    return { violations: [{ field: `${field}.step_output.output`, description }], count: anyCount };
  }
  const count = { min: output.minCount, max: output.maxCount };
  if (output.artifactType === port.artifactType) return { violations: [], count };
  const description = `delivers artifacts of type "${output.artifactType}"; port "${port.name}" reads "${port.artifactType}"`;
  return { violations: [{ field: `${field}.step_output.output`, description }], count };
}

function refViolations(
  ref: { readonly digest: string; readonly type: string },
  port: PortFacts,
  field: string,
): Violation[] {
  const violations: Violation[] = [];
  if (!DIGEST.test(ref.digest))
    violations.push({
      field: `${field}.digest`,
      description: `is ${JSON.stringify(ref.digest.slice(0, 80))}; must be "sha256:" and 64 lower-case hexadecimal digits`,
    });
  if (ref.type !== port.artifactType)
    violations.push({
      field: `${field}.type`,
      description: `is "${ref.type.slice(0, 80)}"; port "${port.name}" reads artifacts of type "${port.artifactType}"`,
    });
  return violations;
}

function countViolations(port: PortFacts, count: Count | undefined, path: string): Violation[] {
  const field = `${path}.inputs`;
  if (count === undefined)
    return port.minCount === 0
      ? []
      : [
          {
            field,
            description: `lack the input port "${port.name}" (${port.artifactType}); bind it to a step's output or to artifacts`,
          },
        ];
  const wanted =
    port.minCount === port.maxCount ? `${port.minCount}` : `${port.minCount} to ${port.maxCount}`;
  if (count.max < port.minCount)
    return [
      { field, description: `give port "${port.name}" at most ${count.max} artifacts; it reads ${wanted}` },
    ];
  if (count.min > port.maxCount)
    return [
      { field, description: `give port "${port.name}" at least ${count.min} artifacts; it reads ${wanted}` },
    ];
  return [];
}
