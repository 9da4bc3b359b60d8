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

/**
 * The fields of a JSON Schema of an object, in its order. Fields of nested objects follow it with a dot, those of the objects
 * of a list with `[].`.
 */
export function schemaFields(schema: Schema, prefix = ''): SchemaField[] {
  return Object.entries(asSchema(schema['properties'])).flatMap(([name, value]) => {
    const field = asSchema(value);
    const path = prefix + name;
    const row = {
      path,
      type: typeOf(field),
      default: defaultOf(field),
      bounds: boundsOf(field),
      description: typeof field['description'] === 'string' ? field['description'] : '',
    };
    const items = asSchema(field['items']);
    if (items['properties'] !== undefined) return [row, ...schemaFields(items, `${path}[].`)];
    if (field['properties'] === undefined) return [row];
    const inner = schemaFields(field, `${path}.`);
    return row.description === '' ? inner : [row, ...inner];
  });
}

/** Its fields say the defaults of an object, and a list of objects would fill the screen. */
function defaultOf({ default: value, properties }: Schema): string {
  if (value === undefined || properties !== undefined) return '–';
  const isLong = Array.isArray(value) && value.some((item) => typeof item === 'object');
  return isLong ? `${value.length} entries` : JSON.stringify(value);
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
  const items = asSchema(field['items']);
  const bounds = parts.flat().join(', ');
  if (Array.isArray(items['enum'])) return `${bounds} of ${items['enum'].map(String).join(', ')}`.trim();
  return bounds || (typeof field['pattern'] === 'string' ? field['pattern'] : '');
}

function asSchema(value: unknown): Schema {
  return value !== null && typeof value === 'object' ? (value as Schema) : {};
}
