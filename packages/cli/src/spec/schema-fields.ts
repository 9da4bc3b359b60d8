/** A field of a configuration as its JSON Schema describes it. */
export interface SchemaField {
  /** Dotted path. */
  readonly path: string;
  readonly type: string;
  readonly default: string;
  readonly bounds: string;
  readonly description: string;
}

type Schema = Readonly<Record<string, unknown>>;

/** The leaves of a JSON Schema of an object, in its order; nested objects are flattened with dots. */
export function schemaFields(schema: Schema, prefix = ''): SchemaField[] {
  return Object.entries(asSchema(schema['properties'])).flatMap(([name, value]) => {
    const field = asSchema(value);
    const path = prefix ? `${prefix}.${name}` : name;
    if (field['properties'] !== undefined) return schemaFields(field, path);
    return [
      {
        path,
        type: typeOf(field),
        default: field['default'] === undefined ? '–' : JSON.stringify(field['default']),
        bounds: boundsOf(field),
        description: typeof field['description'] === 'string' ? field['description'] : '',
      },
    ];
  });
}

function typeOf(field: Schema): string {
  const options = field['anyOf'] ?? field['oneOf'];
  if (Array.isArray(options))
    return [...new Set(options.map((option) => typeOf(asSchema(option))))].join(' | ');
  if (Array.isArray(field['enum']) || field['const'] !== undefined) return 'choice';
  if (field['type'] === 'array') return `list of ${typeOf(asSchema(field['items']))}`;
  return typeof field['type'] === 'string' ? field['type'] : 'any';
}

function boundsOf(field: Schema): string {
  if (Array.isArray(field['enum'])) return field['enum'].map(String).join(', ');
  const low = field['minimum'] ?? field['minLength'] ?? field['minItems'];
  const high = field['maximum'] ?? field['maxLength'] ?? field['maxItems'];
  const above = field['exclusiveMinimum'];
  const below = field['exclusiveMaximum'];
  const parts = [
    low === undefined ? [] : `≥ ${low}`,
    above === undefined ? [] : `> ${above}`,
    high === undefined || high === Number.MAX_SAFE_INTEGER ? [] : `≤ ${high}`,
    below === undefined ? [] : `< ${below}`,
  ];
  return parts.flat().join(', ');
}

function asSchema(value: unknown): Schema {
  return value !== null && typeof value === 'object' ? (value as Schema) : {};
}
