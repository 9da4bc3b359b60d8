import type { Checker } from './checker.js';
import type { StepDraft } from './draft.js';
import { didYouMean } from './suggest.js';

/** Records duplicate ids, references to steps that do not exist, and cycles (with the way around them). */
export function checkGraph(check: Checker, steps: readonly StepDraft[]): void {
  const first = new Map<string, number>();
  for (const [index, step] of steps.entries()) {
    const earlier = first.get(step.id);
    if (step.id === '') continue;
    if (earlier === undefined) first.set(step.id, index);
    else check.refuse(['steps', index, 'id'], `"${step.id}" is already the id of step ${earlier + 1}`);
  }
  const ids = [...first.keys()];
  for (const [index, step] of steps.entries()) {
    for (const [position, id] of step.after.entries()) {
      if (!first.has(id)) {
        check.refuse(['steps', index, 'after', position], `no step has the id "${id}"${didYouMean(id, ids)}`);
      }
    }
    for (const { port, source } of step.inputs) {
      if (source.kind === 'output' && !first.has(source.stepId)) {
        const hint = didYouMean(source.stepId, ids);
        check.refuse(
          ['steps', index, 'inputs', port, 'from'],
          `no step has the id "${source.stepId}"${hint}`,
        );
      }
    }
  }
  const cycle = findCycle(steps);
  if (cycle) {
    const index = first.get(cycle[0] ?? '') ?? 0;
    check.refuse(['steps', index, 'id'], `steps wait for each other: ${[...cycle, cycle[0]].join(' → ')}`);
  }
}

/** Ids along a cycle, each reading from or coming after the next; undefined when there is none. */
function findCycle(steps: readonly StepDraft[]): string[] | undefined {
  const needs = new Map(steps.map((step) => [step.id, dependenciesOf(step)]));
  const done = new Set<string>();
  for (const start of needs.keys()) {
    const trail: { id: string; rest: string[] }[] = [{ id: start, rest: [...(needs.get(start) ?? [])] }];
    const onTrail = new Set([start]);
    while (trail.length > 0) {
      const top = trail[trail.length - 1];
      const next = top?.rest.pop();
      if (next === undefined) {
        if (top) {
          onTrail.delete(top.id);
          done.add(top.id);
        }
        trail.pop();
      } else if (onTrail.has(next)) {
        const ids = trail.map((entry) => entry.id);
        return ids.slice(ids.indexOf(next));
      } else if (!done.has(next) && needs.has(next)) {
        trail.push({ id: next, rest: [...(needs.get(next) ?? [])] });
        onTrail.add(next);
      }
    }
  }
  return undefined;
}

function dependenciesOf(step: StepDraft): string[] {
  const outputs = step.inputs.flatMap(({ source }) => (source.kind === 'output' ? [source.stepId] : []));
  return [...outputs, ...step.after];
}
