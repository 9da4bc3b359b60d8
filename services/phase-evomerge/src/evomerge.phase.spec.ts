import { readFileSync } from 'node:fs';
import { checkConfig, configJsonSchema, renderConfigTable } from '@agentforge/phase-runtime';
import { evomergePhase } from './evomerge.phase.js';

describe('evomergePhase', () => {
  it('is valid as it comes, and says so in its README', () => {
    expect(checkConfig(evomergePhase, {})).toMatchObject({ isValid: true });
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(
      renderConfigTable(evomergePhase),
    );
  });

  it('describes and bounds every field', () => {
    const open: string[] = [];
    visit(configJsonSchema(evomergePhase), 'config', open);
    expect(open).toEqual([]);
  });
});

type Schema = { [key: string]: unknown };

/** Collects fields without a description, numbers without bounds, and objects that take unknown fields. */
function visit(schema: Schema, path: string, open: string[]): void {
  if (path !== 'config' && !path.endsWith('[]') && !schema['description'])
    open.push(`${path}: no description`);
  const isNumber = schema['type'] === 'number' || schema['type'] === 'integer';
  if (isNumber && (schema['minimum'] === undefined || schema['maximum'] === undefined))
    open.push(`${path}: no bounds`);
  if (schema['type'] === 'array' && schema['maxItems'] === undefined) open.push(`${path}: no maxItems`);
  if (schema['type'] === 'object' && schema['additionalProperties'] !== false)
    open.push(`${path}: not strict`);
  for (const [name, field] of Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)) {
    visit(field, `${path}.${name}`, open);
  }
  if (schema['items']) visit(schema['items'] as Schema, `${path}[]`, open);
}
