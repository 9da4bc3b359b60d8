import { z } from 'zod';
import { checkConfig, configJsonSchema, InvalidPhaseConfigError, requireConfig } from './config-check.js';
import { renderConfigTable } from './config-table.js';
import { describePhase } from './descriptor.js';
import { definePhase } from './phase-definition.js';

const phase = definePhase({
  name: 'counting',
  version: '1.0.0',
  summary: 'Counts.',
  inputs: [{ name: 'corpus', artifactType: 'corpus', minCount: 1, maxCount: 1, summary: 'Text.' }],
  outputs: [{ name: 'report', artifactType: 'report', minCount: 1, maxCount: 1, summary: 'Report.' }],
  config: z.strictObject({
    low: z.int().min(0).max(10).default(1).describe('Where to begin'),
    high: z.int().min(0).max(10).default(9).describe('Where to end'),
    parts: z.array(z.strictObject({ name: z.string().min(1) })).default([]),
  }),
  checkConfig: ({ low, high }) => (low > high ? [{ field: 'low', description: 'is above high' }] : []),
  metrics: [{ name: 'count', unit: '1', summary: 'How many.' }],
  estimate: () => ({ memoryBytes: 1, parameters: 0, flop: 0 }),
  startToCloseMs: 90_000,
  workerUrl: new URL('file:///nowhere.js'),
});

function fieldsOf(value: unknown): string[] {
  const check = checkConfig(phase, value);
  return check.isValid ? [] : check.violations.map(({ field }) => field);
}

describe('checkConfig()', () => {
  it('fills in defaults', () => {
    expect(requireConfig(phase, {})).toEqual({ low: 1, high: 9, parts: [] });
  });

  it('names every violation, unknown fields included, with its path', () => {
    expect(
      fieldsOf({ low: -1, high: 'x', extra: 1, parts: [{ name: 'a' }, { name: '', what: 1 }] }).sort(),
    ).toEqual(['config.extra', 'config.high', 'config.low', 'config.parts[1].name', 'config.parts[1].what']);
  });

  it('checks the rules that span fields', () => {
    expect(fieldsOf({ low: 8, high: 3 })).toEqual(['config.low']);
  });

  it.each([[null], [[]], ['text'], [7]])('refuses %j', (value) => {
    expect(fieldsOf(value)).toEqual(['config']);
  });
});

it('requireConfig() throws InvalidPhaseConfigError', () => {
  expect(() => requireConfig(phase, { low: 11 })).toThrow(InvalidPhaseConfigError);
});

it('configJsonSchema() has defaults, bounds, descriptions, and refuses unknown fields', () => {
  expect(configJsonSchema(phase)).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    properties: {
      low: { type: 'integer', minimum: 0, maximum: 10, default: 1, description: 'Where to begin' },
    },
  });
  expect(configJsonSchema(phase)).not.toHaveProperty('required');
});

it('describePhase() says everything about a phase', () => {
  expect(describePhase(phase, 'host:1')).toMatchObject({
    name: 'counting',
    version: '1.0.0',
    inputs: [{ name: 'corpus', artifactType: 'corpus', minCount: 1 }],
    startToClose: { seconds: 90n },
    fallback: '',
    metrics: [{ name: 'count' }],
    address: 'host:1',
  });
});

it('renderConfigTable() has a row per field, nested ones too', () => {
  expect(renderConfigTable(phase).split('\n').slice(2, -1)).toEqual([
    '| `low` | `1` | 0 … 10 | Where to begin |',
    '| `high` | `9` | 0 … 10 | Where to end |',
    '| `parts` | `[]` | entries |  |',
    '| `parts[].name` | – | – |  |',
  ]);
});
