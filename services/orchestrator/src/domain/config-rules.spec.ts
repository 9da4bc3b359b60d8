import { ConfigRules } from './config-rules.js';
import type { JsonObject } from './graph.js';

const schema: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    learning_rate: { type: 'number', exclusiveMinimum: 0, maximum: 1, default: 0.003 },
    preset: { enum: ['pico', 'nano'], default: 'pico' },
    steps: { type: 'integer', minimum: 1 },
    mix: { type: 'array', items: { type: 'number', minimum: 0 } },
    optimizer: { type: 'object', properties: { beta: { type: 'number', default: 0.9 } }, default: {} },
  },
  required: ['steps'],
};

const judge = (config: JsonObject) => new ConfigRules().judge(schema, config, 'steps[0].config');

describe('ConfigRules', () => {
  it('fills in defaults, also nested ones, and leaves the given configuration alone', () => {
    const given = { steps: 5 };
    expect(judge(given)).toEqual({
      config: { steps: 5, learning_rate: 0.003, preset: 'pico', optimizer: { beta: 0.9 } },
      violations: [],
    });
    expect(given).toEqual({ steps: 5 });
  });

  it('reports everything at once with path, value and fix', () => {
    const { violations } = judge({ learning_rate: 2, preset: 'giant', mix: [1, -1], learning_rat: 1 });
    const byField = new Map(violations.map(({ field, description }) => [field, description]));
    expect(byField.get('steps[0].config.steps')).toBe('is missing; it is required');
    expect(byField.get('steps[0].config.learning_rate')).toBe('is 2; must be <= 1');
    expect(byField.get('steps[0].config.preset')).toBe('is "giant"; must be one of "pico", "nano"');
    expect(byField.get('steps[0].config.mix[1]')).toBe('is -1; must be >= 0');
    expect(byField.get('steps[0].config.learning_rat')).toMatch(/is unknown; did you mean "learning_rate"\?/);
    expect(violations).toHaveLength(5);
  });

  it('refuses a value of another type', () => {
    expect(judge({ steps: '5' }).violations).toEqual([
      { field: 'steps[0].config.steps', description: 'is "5"; must be an integer' },
    ]);
  });

  it('refuses unknown fields although the schema is open', () => {
    const rules = new ConfigRules();
    expect(rules.judge({ type: 'object' }, { x: 1 }, 'c').violations[0]?.field).toBe('c.x');
    const open = { type: 'object', additionalProperties: true };
    expect(rules.judge(open, { x: 1 }, 'c').violations).toEqual([]);
  });

  it('says so when a schema does not compile', () => {
    const broken = { type: 'object', properties: { a: { type: 'nonsense' } } };
    expect(new ConfigRules().judge(broken, {}, 'c').violations[0]?.description).toMatch(/does not compile/);
  });
});
