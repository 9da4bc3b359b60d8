import { readFileSync } from 'node:fs';
import { AppError, type FieldViolation } from '@agentforge/errors';
import { redactText } from '@agentforge/telemetry';
import type { z } from 'zod';

/** One setting of a service: where it comes from, what it may be, and what to tell people about it. */
export interface Setting<T> {
  /** Name of the environment variable. */
  readonly env: string;
  /** Parses the text of the variable. */
  readonly schema: z.ZodType<T>;
  /** Value when the variable is unset or empty; without one the schema decides whether that is an error. */
  readonly default?: T;
  /** Unit of the value, for people: `ms`, `bytes`, `runs`. */
  readonly unit?: string;
  /** What it does, one line. */
  readonly description: string;
  /** Whether the value is a secret: never shown, and may come from the file that `<env>_FILE` names. */
  readonly sensitive?: boolean;
}

/** Settings of a service by the name that code uses. */
// biome-ignore lint/suspicious/noExplicitAny: the value types differ per entry and are kept by inference
export type Settings = Readonly<Record<string, Setting<any>>>;

/** The parsed, frozen configuration that settings describe. */
export type ConfigOf<S extends Settings> = {
  readonly [Key in keyof S]: S[Key] extends Setting<infer T> ? T : never;
};

/** Settings that cannot be used; one violation per variable. */
export class ConfigError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    const lines = violations.map(({ field, description }) => `  ${field}: ${description}`);
    super('INVALID_ARGUMENT', `configuration is not usable:\n${lines.join('\n')}`, {
      reason: 'INVALID_CONFIGURATION',
      fieldViolations: violations,
    });
  }
}

/** Describes one setting; the schema gives its type. */
export function setting<Schema extends z.ZodType>(
  spec: Omit<Setting<z.output<Schema>>, 'schema' | 'default'> & {
    readonly schema: Schema;
    readonly default?: z.output<Schema>;
  },
): Setting<z.output<Schema>> {
  return spec as Setting<z.output<Schema>>;
}

/**
 * The settings of one service, checked for two names of the same variable.
 * @throws TypeError when two settings read one variable
 */
export function defineSettings<S extends Settings>(settings: S): S {
  const owners = new Map<string, string>();
  for (const [key, { env }] of Object.entries(settings)) {
    const owner = owners.get(env);
    if (owner !== undefined) throw new TypeError(`settings ${owner} and ${key} both read ${env}`);
    owners.set(env, key);
  }
  return Object.freeze(settings);
}

/**
 * Parses all settings once.
 * @param env  variables; empty ones count as unset
 * @returns a frozen configuration
 * @throws ConfigError  INVALID_ARGUMENT: names every wrong variable
 */
export function parseSettings<S extends Settings>(settings: S, env: NodeJS.ProcessEnv): ConfigOf<S> {
  const violations: FieldViolation[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(settings)) {
    try {
      config[key] = parseOne(entry, env);
    } catch (error) {
      violations.push({ field: entry.env, description: explain(entry, error) });
    }
  }
  if (violations.length > 0) throw new ConfigError(violations);
  return Object.freeze(config) as ConfigOf<S>;
}

/** The configuration as it may be shown: secrets hidden, also those inside URLs. */
export function describeConfig<S extends Settings>(settings: S, config: ConfigOf<S>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, { env, sensitive }]) => {
      const value = config[key];
      const isHidden = sensitive === true && value !== undefined && value !== '';
      return [env, isHidden ? '[hidden]' : redactText(textOf(value))];
    }),
  );
}

/** The settings as a Markdown table, for a README. */
export function renderConfigTable(settings: Settings): string {
  const rows = Object.values(settings).map(({ env, default: fallback, unit, description, sensitive }) => {
    const shown = fallback === undefined ? '' : textOf(fallback);
    const cells = [`\`${env}\``, shown === '' ? '–' : `\`${shown}\``, unit ?? '–', description];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')}${sensitive ? ' (secret)' : ''} |`;
  });
  return ['| variable | default | unit | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function parseOne<T>(entry: Setting<T>, env: NodeJS.ProcessEnv): T {
  const text = readVariable(entry, env);
  if (text === undefined && entry.default !== undefined) return entry.default;
  return entry.schema.parse(text);
}

function readVariable(entry: Setting<unknown>, env: NodeJS.ProcessEnv): string | undefined {
  const text = env[entry.env];
  if (text !== undefined && text !== '') return text;
  const file = entry.sensitive ? env[`${entry.env}_FILE`] : undefined;
  return file ? readFileSync(file, 'utf8').trim() : undefined;
}

function explain(entry: Setting<unknown>, error: unknown): string {
  const issues = (error as Partial<z.ZodError>).issues;
  const problem = issues
    ? issues.map(({ message }) => message).join('; ')
    : error instanceof Error
      ? error.message
      : String(error);
  return `${entry.sensitive ? problem.replace(/".*"/g, '"[hidden]"') : problem} (${entry.description})`;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  return Array.isArray(value) ? value.join(',') : String(value);
}
