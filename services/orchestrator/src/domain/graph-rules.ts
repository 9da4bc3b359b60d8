import type { ConfigRules } from './config-rules.js';
import { findCycles } from './cycles.js';
import type {
  GraphDraft,
  GraphLimits,
  JsonObject,
  PhaseFacts,
  PoolDraft,
  StepDraft,
  Violation,
} from './graph.js';
import { inputViolations } from './input-rules.js';
import { policyViolations } from './policy-rules.js';
import { resourceViolations } from './resource-rules.js';
import { knownNames } from './suggest.js';

/** Every violation of a graph, and the configurations with defaults filled in, by position of the step. */
export interface GraphJudgement {
  readonly violations: readonly Violation[];
  readonly configs: readonly JsonObject[];
  /** Positions of the steps whose configuration keeps to the schema of their phase. */
  readonly sound: readonly number[];
}

/** Most violations that are reported; the last one says how many more there are. */
export const MAX_VIOLATIONS = 100;

const STEP_ID = /^[a-z0-9_-]{1,63}$/;

/**
 * Checks a graph and reports everything that is wrong at once; {@link bounded} keeps that short. Pure.
 * @param phases  the phases that are installed, by name
 * @param pools   the resources that workers advertise now
 */
export function judgeGraph(
  graph: GraphDraft,
  phases: ReadonlyMap<string, PhaseFacts>,
  limits: GraphLimits,
  configRules: ConfigRules,
  pools: readonly PoolDraft[] = [],
): GraphJudgement {
  const size = sizeViolations(graph, limits);
  if (size.length > 0) return { violations: size, configs: [], sound: [] };
  const steps = new Map(graph.steps.map((step) => [step.id, step]));
  const violations: Violation[] = [...policyViolations(graph, limits), ...idViolations(graph)];
  const configs: JsonObject[] = [];
  const sound: number[] = [];
  graph.steps.forEach((step, i) => {
    const path = `steps[${i}]`;
    violations.push(...orderViolations(step, path, steps), ...resourceViolations(step, path, pools));
    const phase = phases.get(step.phase);
    if (step.kind !== 'phase') {
      violations.push({ ...unimplementedKind(step), field: `${path}.kind` });
    } else if (phase === undefined) {
      violations.push({ field: `${path}.phase`, description: unknownPhase(step.phase, [...phases.keys()]) });
    } else {
      const judged = configRules.judge(phase.configSchema, step.config, `${path}.config`);
      violations.push(...judged.violations, ...inputViolations(step, path, phase, steps, phases));
      configs[i] = judged.config;
      if (judged.violations.length === 0) sound.push(i);
    }
  });
  violations.push(...cycleViolations(graph));
  return { violations, configs, sound };
}

function sizeViolations(graph: GraphDraft, limits: GraphLimits): Violation[] {
  const count = graph.steps.length;
  if (count === 0) return [{ field: 'steps', description: 'is empty; a graph has at least one step' }];
  if (count > limits.maxSteps)
    return [{ field: 'steps', description: `has ${count} steps; at most ${limits.maxSteps} are accepted` }];
  if (graph.sizeBytes > limits.maxGraphBytes)
    return [
      {
        field: 'steps',
        description: `take ${graph.sizeBytes} bytes in all; at most ${limits.maxGraphBytes} are accepted`,
      },
    ];
  return [];
}

function idViolations(graph: GraphDraft): Violation[] {
  const violations: Violation[] = [];
  const firstAt = new Map<string, number>();
  graph.steps.forEach(({ id }, i) => {
    const field = `steps[${i}].id`;
    const first = firstAt.get(id);
    if (!STEP_ID.test(id))
      violations.push({
        field,
        description: `is ${JSON.stringify(id.slice(0, 80))}; must be 1 to 63 of a-z, 0-9, "-" and "_"`,
      });
    else if (first !== undefined)
      violations.push({ field, description: `is "${id}", as steps[${first}].id already is; ids are unique` });
    else firstAt.set(id, i);
  });
  return violations;
}

function orderViolations(step: StepDraft, path: string, steps: ReadonlyMap<string, StepDraft>): Violation[] {
  return step.after.flatMap((id, i): Violation[] => {
    const field = `${path}.after[${i}]`;
    if (!steps.has(id))
      return [{ field, description: `names the unknown step "${id}"; ${knownNames(id, [...steps.keys()])}` }];
    if (step.after.indexOf(id) !== i) return [{ field, description: `repeats "${id}"; name it once` }];
    return [];
  });
}

/** Every cycle by name. A step that waits for itself is the shortest one. */
function cycleViolations(graph: GraphDraft): Violation[] {
  const positionOf = new Map(graph.steps.map(({ id }, i) => [id, i]));
  const dependencies = graph.steps.map((step) => {
    const ids = new Set(step.after);
    for (const { source } of step.inputs) if (source.kind === 'step') ids.add(source.stepId);
    return [...ids].flatMap((id) => positionOf.get(id) ?? []);
  });
  return findCycles(dependencies).map((cycle) => {
    const names = [...cycle, ...cycle.slice(0, 1)].reverse().map((i) => graph.steps[i]?.id ?? '');
    const shown = names.length > 12 ? [...names.slice(0, 11), '...', names.at(-1)] : names;
    return {
      field: `steps[${Math.min(...cycle)}]`,
      description: `is part of the cycle ${shown.join(' -> ')}; remove one of its edges`,
    };
  });
}

const unimplementedKind = (step: StepDraft): { description: string; unimplemented: true } => ({
  description: `is "${step.kind}", which this version cannot execute; use a step of kind "phase"`,
  unimplemented: true,
});

const unknownPhase = (name: string, known: readonly string[]): string =>
  name === ''
    ? `is empty; ${knownNames(name, known)}`
    : `names the unknown phase "${name.slice(0, 80)}"; ${knownNames(name, known)}`;

/** As many violations as a caller is told, and how many more there are. */
export function bounded(violations: readonly Violation[]): readonly Violation[] {
  if (violations.length <= MAX_VIOLATIONS) return violations;
  const more = violations.length - MAX_VIOLATIONS + 1;
  return [
    ...violations.slice(0, MAX_VIOLATIONS - 1),
    { field: 'steps', description: `have ${more} more violations; correct these first` },
  ];
}
