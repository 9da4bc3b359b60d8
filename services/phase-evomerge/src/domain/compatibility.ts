import type { FieldViolation } from '@agentforge/errors';
import type { ModelConfig } from '@agentforge/model';
import { IncompatibleModelsError } from './evomerge.errors.js';

/** What two models must have in common to be merged. */
export interface Mergeable {
  readonly name: string;
  readonly config: ModelConfig;
  /** Bytes of tokenizer.json. */
  readonly tokenizer: Uint8Array;
}

/**
 * Checks that models have one architecture and one tokenizer.
 * @throws IncompatibleModelsError  INVALID_ARGUMENT: every difference of every model from the first
 */
export function requireCompatible(models: readonly Mergeable[]): void {
  const [first, ...others] = models;
  if (!first) return;
  const violations: FieldViolation[] = [];
  others.forEach((model, i) => {
    const field = `inputs.models[${i + 1}]`;
    const [ours, theirs] = [settingsOf(model.config), settingsOf(first.config)];
    for (const key of new Set([...theirs.keys(), ...ours.keys()])) {
      const [here, there] = [ours.get(key) ?? 'absent', theirs.get(key) ?? 'absent'];
      if (here === there) continue;
      violations.push({
        field: `${field}.config.${key}`,
        description: `is ${here} in ${model.name}, ${there} in ${first.name}`,
      });
    }
    if (Buffer.compare(model.tokenizer, first.tokenizer) !== 0) {
      violations.push({
        field: `${field}.tokenizer`,
        description: `of ${model.name} is not that of ${first.name}: their token ids mean different things`,
      });
    }
  });
  if (violations.length > 0) throw new IncompatibleModelsError(violations);
}

/** Every setting of a configuration by its path, such as `memory.heads`, as JSON. */
function settingsOf(config: object, path = ''): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [key, value] of Object.entries(config)) {
    if (value === undefined) continue;
    const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value);
    const inner = isGroup
      ? settingsOf(value, `${path}${key}.`)
      : [[path + key, JSON.stringify(value)] as const];
    for (const [name, json] of inner) settings.set(name, json);
  }
  return settings;
}

/** Names with `#2`, `#3` … where one occurs again, in order. */
export function distinctNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
}
