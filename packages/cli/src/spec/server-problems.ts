import type { SpecDocument } from './document.js';
import { type FieldPath, parsePath } from './path.js';
import type { SpecProblem } from './problem.js';
import type { RunSpec } from './run-spec.js';

/** A field violation as a server reports it. */
export interface Violation {
  readonly field: string;
  readonly description: string;
}

/**
 * Violations that a server found, with their places in the file. Servers speak of the graph on the wire, where the
 * inputs of a step are a list; the file has a map of ports, in the same order.
 */
export function locateViolations(
  document: SpecDocument,
  spec: RunSpec,
  violations: readonly Violation[],
): SpecProblem[] {
  return violations.map(({ field, description }) => {
    const isUnknown = /^unknown (field|property)|additional propert/i.test(description);
    return document.problem(toFilePath(spec, parsePath(field)), description, isUnknown ? 'key' : 'value');
  });
}

function toFilePath(spec: RunSpec, path: FieldPath): FieldPath {
  const [first, step, part, index, ...rest] = path;
  if (first !== 'steps')
    return first === 'displayName' || first === 'display_name' ? ['name'] : path.map(snakeCase);
  const position = typeof step === 'string' ? spec.steps.findIndex((draft) => draft.id === step) : step;
  if (position === undefined || position === -1 || part === undefined) return path;
  if (part === 'inputs' && index !== undefined) {
    const port = typeof index === 'number' ? spec.steps[Number(position)]?.inputs[index]?.port : index;
    return port === undefined ? ['steps', position, 'inputs'] : ['steps', position, 'inputs', port, ...rest];
  }
  const tail = index === undefined ? [] : [index, ...rest];
  return ['steps', position, snakeCase(part), ...(part === 'config' ? tail : tail.map(snakeCase))];
}

function snakeCase(part: string | number): string | number {
  return typeof part === 'number' ? part : part.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
