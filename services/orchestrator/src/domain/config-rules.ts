import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json, JsonObject, Violation } from './graph.js';
import { knownNames } from './suggest.js';

/** A configuration with defaults filled in, or what is wrong with it. */
export type ConfigJudgement = { readonly config: JsonObject; readonly violations: readonly Violation[] };

/** Compiled schemas that are kept; a phase has one for each of its versions. */
const MAX_COMPILED = 64;

/**
 * Validates configurations against the JSON Schemas (draft 2020-12) that phases publish. Equal schemas are compiled
 * once; a field that the schema does not name is refused, whether or not the schema says so.
 */
export class ConfigRules {
  readonly #compiled = new Map<string, ValidateFunction>();
  /** The same by object, which spares writing a schema out for each of thousands of steps. */
  readonly #byObject = new WeakMap<JsonObject, ValidateFunction>();

  /**
   * @param schema  the phase's schema
   * @param config  as asked for; not modified
   * @param field   path of the configuration, for the violations
   */
  judge(schema: JsonObject, config: JsonObject, field: string): ConfigJudgement {
    const filled = structuredClone(config);
    const validate = this.#byObject.get(schema) ?? this.#compile(schema);
    if (validate !== undefined) this.#byObject.set(schema, validate);
    if (validate === undefined)
      return {
        config: filled,
        violations: [{ field, description: 'the phase publishes a schema that does not compile' }],
      };
    if (validate(filled)) return { config: filled, violations: [] };
    return { config: filled, violations: (validate.errors ?? []).flatMap((e) => explain(e, field)) };
  }

  #compile(schema: JsonObject): ValidateFunction | undefined {
    const key = JSON.stringify(schema);
    const known = this.#compiled.get(key);
    if (known !== undefined) return known;
    const { $id: _, ...closed } = schema;
    if (closed['additionalProperties'] === undefined && closed['unevaluatedProperties'] === undefined)
      closed['unevaluatedProperties'] = false;
    const ajv = new Ajv2020({ allErrors: true, useDefaults: true, strict: false, verbose: true });
    try {
      const validate = ajv.compile({ type: 'object', ...closed });
      const [oldest] = this.#compiled.keys();
      if (this.#compiled.size >= MAX_COMPILED && oldest !== undefined) this.#compiled.delete(oldest);
      this.#compiled.set(key, validate);
      return validate;
    } catch {
      return undefined;
    }
  }
}

/** One violation for an error of the schema validator; none for the ones that only repeat others. */
function explain(error: ErrorObject, root: string): Violation[] {
  const field = root + error.instancePath.split('/').slice(1).map(segment).join('');
  const params = error.params as Record<string, Json>;
  const value = show(error.data as Json);
  switch (error.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const name = String(params['additionalProperty'] ?? params['unevaluatedProperty']);
      const known = Object.keys((error.parentSchema?.['properties'] as JsonObject | undefined) ?? {});
      return [{ field: field + segment(name), description: `is unknown; ${knownNames(name, known)}` }];
    }
    case 'required':
      return [
        {
          field: field + segment(String(params['missingProperty'])),
          description: 'is missing; it is required',
        },
      ];
    case 'type':
      return [{ field, description: `is ${value}; must be ${article(String(params['type']))}` }];
    case 'enum':
      return [{ field, description: `is ${value}; must be one of ${list(params['allowedValues'])}` }];
    case 'const':
      return [{ field, description: `is ${value}; must be ${show(params['allowedValue'] ?? null)}` }];
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return [{ field, description: `is ${value}; must be ${params['comparison']} ${params['limit']}` }];
    case 'if':
      return [];
    default:
      return [{ field, description: `is ${value}; ${error.message ?? `fails "${error.keyword}"`}` }];
  }
}

const segment = (raw: string): string => {
  const name = raw.replaceAll('~1', '/').replaceAll('~0', '~');
  return /^\d+$/.test(name) ? `[${name}]` : `.${name}`;
};

const article = (type: string): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

const list = (values: Json | undefined): string =>
  Array.isArray(values) ? values.map((value) => show(value)).join(', ') : 'the allowed values';

const show = (value: Json): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};
