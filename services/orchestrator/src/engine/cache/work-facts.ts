import { canonicalJson, digestOf } from '@agentforge/artifacts';
import { type RunRecord, resolveInputs, type StepRecord, stepOf, stepSeedOf } from '@agentforge/events';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

/** Spelling of the facts; another one gives other keys. */
const SCHEME = 1;

/** All that the result of a step depends on. */
export interface WorkFacts {
  readonly phase: string;
  readonly phase_version: string;
  /** With defaults filled in. */
  readonly config: JsonObject;
  /** Decimal: 64 bits do not fit into a JSON number. */
  readonly seed: string;
  /** Digests by port, in the order in which the step reads them. */
  readonly inputs: Readonly<Record<string, string[]>>;
}

/**
 * What the result of a step depends on. Names, retries, timeouts, resources and the place in the graph are no part of
 * it: they change when a result comes, not what it is.
 */
export function factsOf(state: RunRecord, step: StepRecord, phaseVersion: string): WorkFacts {
  const inputs = resolveInputs(state, step).map(({ port, artifacts }): [string, string[]] => [
    port,
    artifacts.map(({ digest }) => digest),
  ]);
  return {
    phase: step.spec.phase,
    phase_version: phaseVersion,
    config: step.spec.config ?? {},
    seed: String(stepSeedOf(state.seed, step.spec)),
    inputs: Object.fromEntries(inputs),
  };
}

/** The steps whose outputs the step reads and that have not delivered them; while there are any it has no key. */
export function unknownInputs(state: RunRecord, step: StepRecord): string[] {
  const ids = step.spec.inputs.flatMap(({ source }) =>
    source.case === 'stepOutput' ? [source.value.stepId] : [],
  );
  return [...new Set(ids)].filter((id) => stepOf(state, id)?.result === undefined);
}

/** Identity of the work: "sha256:" and the digest of the canonical JSON (RFC 8785) of its facts. */
export function keyOf(facts: WorkFacts): string {
  return digestOf(Buffer.from(canonicalJson({ scheme: SCHEME, ...facts })));
}

/** A fact in which two steps differ; undefined where one does not have it. */
export interface FactDifference {
  /** "phase_version", "seed", "config.learning_rate", "inputs.models[0]". */
  readonly field: string;
  readonly here: string | undefined;
  readonly there: string | undefined;
}

/** In what two steps differ, by field, in the order of the fields' names. */
export function differencesOf(here: WorkFacts, there: JsonObject): FactDifference[] {
  const [a, b] = [leavesOf(here as unknown as JsonObject), leavesOf(there)];
  return [...new Set([...a.keys(), ...b.keys()])]
    .sort()
    .filter((field) => a.get(field) !== b.get(field))
    .map((field) => ({ field, here: a.get(field), there: b.get(field) }));
}

/** Every value that is no object or list, by its path; an empty object or list is a value. */
function leavesOf(value: JsonObject): Map<string, string> {
  const leaves = new Map<string, string>();
  const visit = (path: string, part: JsonValue): void => {
    if (Array.isArray(part) && part.length > 0)
      for (const [i, item] of part.entries()) visit(`${path}[${i}]`, item);
    else if (part !== null && typeof part === 'object' && Object.keys(part).length > 0)
      for (const [name, member] of Object.entries(part)) visit(path ? `${path}.${name}` : name, member);
    else leaves.set(path, typeof part === 'string' ? part : JSON.stringify(part));
  };
  visit('', value);
  return leaves;
}
