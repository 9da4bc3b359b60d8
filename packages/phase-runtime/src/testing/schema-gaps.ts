import { configJsonSchema } from '../definition/config-check.js';
import type { PhaseDefinition } from '../definition/phase-definition.js';

type Schema = { readonly [key: string]: unknown };

/**
 * What the configuration schema of a phase leaves open, one line each: fields without a description, numbers
 * without bounds, lists without a longest length, objects that take unknown fields.
 */
export function schemaGaps(phase: PhaseDefinition): string[] {
  return [...gapsOf(configJsonSchema(phase), 'config')];
}

function* gapsOf(schema: Schema, path: string): Generator<string> {
  const isField = path !== 'config' && !path.endsWith('[]');
  if (isField && !schema['description']) yield `${path}: no description`;
  switch (schema['type']) {
    case 'number':
    case 'integer':
      if (schema['minimum'] === undefined || schema['maximum'] === undefined) yield `${path}: no bounds`;
      break;
    case 'array':
      if (schema['maxItems'] === undefined) yield `${path}: no maxItems`;
      break;
    case 'object':
      if (schema['additionalProperties'] !== false) yield `${path}: not strict`;
      break;
  }
  for (const [name, field] of Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)) {
    yield* gapsOf(field, `${path}.${name}`);
  }
  if (schema['items']) yield* gapsOf(schema['items'] as Schema, `${path}[]`);
}
