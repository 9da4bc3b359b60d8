import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { configJsonSchema } from './config-check.js';
import type { PhaseDefinition } from './phase-definition.js';

/** The configuration of a phase as a Markdown table, for its README: one row per field, nested ones with a dot. */
export function renderConfigTable(phase: PhaseDefinition): string {
  const rows = rowsOf(configJsonSchema(phase), '');
  return ['| field | default | range | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function rowsOf(schema: JsonObject, prefix: string): string[] {
  return Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>).flatMap(
    ([name, field]) => {
      const path = prefix + name;
      const meaning = String(field['description'] ?? '').replaceAll('|', '\\|');
      const row = `| \`${path}\` | ${defaultOf(field)} | ${rangeOf(field)} | ${meaning} |`;
      const items = field['items'] as JsonObject | undefined;
      if (items?.['properties']) return [row, ...rowsOf(items, `${path}[].`)];
      return field['properties'] ? [row, ...rowsOf(field, `${path}.`)] : [row];
    },
  );
}

function defaultOf({ default: value, type }: JsonObject): string {
  if (value === undefined || type === 'object') return '–';
  return type === 'array' && (value as JsonValue[]).some((item) => typeof item === 'object')
    ? `${(value as JsonValue[]).length} entries`
    : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function rangeOf(field: JsonObject): string {
  if (Array.isArray(field['enum'])) return field['enum'].join(', ');
  const items = field['items'] as JsonObject | undefined;
  const [low, high] = items
    ? [field['minItems'], field['maxItems']]
    : [field['minimum'] ?? field['exclusiveMinimum'], field['maximum']];
  const bounds = low === undefined && high === undefined ? '' : `${low ?? ''} … ${high ?? ''}`;
  const unit = items ? 'entries' : '';
  if (items && Array.isArray(items['enum'])) return `${bounds} of ${items['enum'].join(', ')}`;
  return `${bounds} ${unit}`.trim() || (field['pattern'] ? `\`${field['pattern']}\`` : '–');
}
