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
    for (const key of Object.keys(first.config) as (keyof ModelConfig)[]) {
      if (model.config[key] === first.config[key]) continue;
      violations.push({
        field: `${field}.config.${key}`,
        description: `is ${model.config[key]} in ${model.name}, ${first.config[key]} in ${first.name}`,
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

/** Names with `#2`, `#3` … where one occurs again, in order. */
export function distinctNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
}
