import { type StepSpec, StepSpecSchema } from '@agentforge/contracts';
import { dependenciesOf } from '@agentforge/events';
import { toBinary } from '@bufbuild/protobuf';

/** Most bytes of specifications that one batch of the log carries: the rest of a message is for what is decided with it. */
export const MAX_PART_BYTES = 400 * 1024;
/** Most bytes of one specification, so that every one fits into a part. */
export const MAX_STEP_BYTES = 256 * 1024;

/** Bytes of a specification. */
export const stepBytes = (spec: StepSpec): number => toBinary(StepSpecSchema, spec).length;

/** Whether the specifications need several batches. */
export function needsParts(steps: readonly StepSpec[]): boolean {
  return steps.reduce((sum, spec) => sum + stepBytes(spec), 0) > MAX_PART_BYTES;
}

/** The steps from a place on that fit into one batch, at least one. */
export function nextPart(steps: readonly StepSpec[], from: number): StepSpec[] {
  const part: StepSpec[] = [];
  let bytes = 0;
  for (const spec of steps.slice(from)) {
    bytes += stepBytes(spec);
    if (bytes > MAX_PART_BYTES && part.length > 0) break;
    part.push(spec);
  }
  return part;
}

/**
 * The steps, each after those that it depends on, otherwise as they are: a part of a graph names nothing that is yet
 * to come. Depth first, without recursion, since a chain may be as long as the graph. There must be no cycle.
 */
export function inDependencyOrder(steps: readonly StepSpec[]): StepSpec[] {
  const byId = new Map(steps.map((spec) => [spec.id, spec]));
  const placed = new Set<string>();
  const ordered: StepSpec[] = [];
  for (const first of steps) {
    const path = [first];
    for (let spec = path.at(-1); spec; spec = path.at(-1)) {
      const missing = placed.has(spec.id)
        ? undefined
        : dependenciesOf(spec).find((id) => !placed.has(id) && byId.has(id));
      const before = missing === undefined ? undefined : byId.get(missing);
      if (before) path.push(before);
      else {
        path.pop();
        if (!placed.has(spec.id)) ordered.push(spec);
        placed.add(spec.id);
      }
    }
  }
  return ordered;
}
