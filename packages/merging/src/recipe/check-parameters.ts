import type { MergeMethod } from '../operators/method.js';
import { MERGE_METHODS } from '../operators/methods.js';
import { type ParameterValue, problemOf } from '../operators/parameter.js';
import { describe, type Problems } from './fields.js';
import type { RecipePath } from './recipe.js';
import { type Conditional, type Setting, type SettingMap, valuesOf } from './setting.js';

/** Top-level parameter of this tool: mergekit ignores it and takes its seed from the command line. */
export const SEED = 'seed';

const KNOWN = new Set(
  [...MERGE_METHODS.values()].flatMap(({ parameters }) => parameters.map(({ name }) => name)),
);

/** What parameters are checked with. */
export interface ParameterCheck {
  readonly problems: Problems;
  readonly method: MergeMethod | undefined;
  /** Collects what has no effect. */
  readonly remarks: Set<string>;
}

/** The settings of a `parameters` map; what is wrong with it goes to the problems. */
export function checkParameters(
  value: unknown,
  path: RecipePath,
  { problems, method, remarks }: ParameterCheck,
  isTopLevel = false,
): SettingMap {
  if (value === undefined || value === null) return {};
  const settings: Record<string, Setting> = {};
  for (const [name, given] of Object.entries(problems.map(value, path, null) ?? {})) {
    const at = [...path, name];
    if (isTopLevel && name === SEED) continue;
    const parameter = method?.parameters.find((one) => one.name === name);
    if (!KNOWN.has(name)) {
      const own = method?.parameters.map((one) => one.name) ?? [...KNOWN];
      problems.add(
        at,
        `is no parameter of ${method?.name ?? 'any method'}; it has ${own.join(', ') || 'none'}`,
      );
      continue;
    }
    const setting = checkSetting(given, at, problems);
    if (setting === undefined || method === undefined) continue;
    if (parameter === undefined) {
      remarks.add(`${name} has no effect on ${method.name}`);
      continue;
    }
    if (parameter.summary.startsWith('No effect')) remarks.add(`${name}: ${lowerFirst(parameter.summary)}`);
    for (const { path: inside, value: one } of valuesOf(setting)) {
      const problem = problemOf(parameter, one);
      if (problem !== null) problems.add([...at, ...inside], problem);
    }
    settings[name] = setting;
  }
  return settings;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function checkSetting(value: unknown, path: RecipePath, problems: Problems): Setting | undefined {
  if (isScalar(value)) return value;
  if (Array.isArray(value)) {
    if (value.length === 0)
      problems.add(path, 'is an empty list; give a value, anchors of a gradient, or filters');
    else if (value.every(isScalar)) return value;
    else return checkConditionals(value, path, problems);
    return undefined;
  }
  if (typeof value === 'object' && value !== null) return checkConditionals([value], path, problems);
  problems.add(path, `${describe(value)} is no value`);
  return undefined;
}

function checkConditionals(
  values: readonly unknown[],
  path: RecipePath,
  problems: Problems,
): readonly Conditional[] | undefined {
  const before = problems.found.length;
  const conditionals = values.map((value, i): Conditional => {
    const at = [...path, i];
    const fields = problems.map(value, at, ['filter', 'value']) ?? {};
    const { filter = null, value: own } = fields;
    if (filter !== null && typeof filter !== 'string') {
      problems.add([...at, 'filter'], `${describe(filter)} is no part of a tensor's name`);
    }
    const isUsable = isScalar(own) || (Array.isArray(own) && own.length > 0 && own.every(isScalar));
    if (!isUsable) problems.add([...at, 'value'], `${describe(own)} is no value and no gradient`);
    return { filter: filter as string | null, value: own as Conditional['value'] };
  });
  return problems.found.length === before ? conditionals : undefined;
}

function isScalar(value: unknown): value is ParameterValue {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string';
}
