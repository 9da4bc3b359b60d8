import { AppError, type FieldViolation } from '@agentforge/errors';
import type { JsonObject } from '@bufbuild/protobuf';
import { z } from 'zod';
import type { PhaseDefinition } from './phase-definition.js';

/** A phase configuration that breaks its schema or a rule between fields; one violation each. */
export class InvalidPhaseConfigError extends AppError {
  constructor(phase: string, violations: readonly FieldViolation[]) {
    const problems = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
    super('INVALID_ARGUMENT', `configuration of ${phase} is not valid: ${problems}`, {
      reason: 'INVALID_PHASE_CONFIG',
      fieldViolations: violations,
    });
  }
}

/** A checked configuration with defaults filled in, or everything that is wrong with it. */
export type ConfigCheck<Config> =
  | { readonly isValid: true; readonly config: Config }
  | { readonly isValid: false; readonly violations: readonly FieldViolation[] };

/**
 * Checks a configuration against the schema, then against the rules that span fields.
 * @param value  JSON; absent fields get their defaults, unknown ones are violations
 * @returns field paths start with `config`, for example `config.specialisations[1].name`
 */
export function checkConfig<Schema extends z.ZodType>(
  phase: PhaseDefinition<Schema>,
  value: unknown,
): ConfigCheck<z.output<Schema>> {
  const parsed = phase.config.safeParse(value);
  if (!parsed.success) return { isValid: false, violations: parsed.error.issues.flatMap(violationsOf) };
  const violations = (phase.checkConfig?.(parsed.data) ?? []).map(({ field, description }) => ({
    field: field === '' ? 'config' : `config.${field}`,
    description,
  }));
  return violations.length > 0 ? { isValid: false, violations } : { isValid: true, config: parsed.data };
}

/**
 * The configuration with defaults filled in.
 * @throws InvalidPhaseConfigError  INVALID_ARGUMENT: names every violation
 */
export function requireConfig<Schema extends z.ZodType>(
  phase: PhaseDefinition<Schema>,
  value: unknown,
): z.output<Schema> {
  const check = checkConfig(phase, value);
  if (!check.isValid) throw new InvalidPhaseConfigError(phase.name, check.violations);
  return check.config;
}

/** The schema of a phase's configuration as JSON Schema, draft 2020-12, with defaults, bounds and descriptions. */
export function configJsonSchema(phase: PhaseDefinition): JsonObject {
  return z.toJSONSchema(phase.config, { target: 'draft-2020-12', io: 'input' }) as JsonObject;
}

function violationsOf(issue: z.core.$ZodIssue): FieldViolation[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: fieldPath([...issue.path, key]),
      description: 'there is no such field',
    }));
  }
  return [{ field: fieldPath(issue.path), description: issue.message }];
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'config',
  );
}
