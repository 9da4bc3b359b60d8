import { parseDuration } from './duration.js';
import { formatPath, parsePath } from './path.js';
import { schemaFields } from './schema-fields.js';
import { didYouMean, suggest } from './suggest.js';

describe('suggest()', () => {
  it.each([
    ['confg', 'config'],
    ['pahse', 'phase'],
    ['runn', 'run'],
    ['SEED', 'seed'],
  ])('takes %s for %s', (word, meant) => {
    expect(suggest(word, ['config', 'phase', 'run', 'seed'])).toBe(meant);
  });

  it('suggests nothing far-fetched', () => {
    expect(suggest('zebra', ['config', 'phase'])).toBeUndefined();
    expect(didYouMean('zebra', ['config'])).toBe('');
  });
});

describe('parseDuration()', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['1.5m', 90_000],
    [2, 2_000],
    [3n, 3_000],
  ])('reads %p', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '30', 's', '-1s', '1 s', '1y', -1, true, null])('refuses %p', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('paths', () => {
  it.each([
    [['steps', 1, 'config', 'a'], 'steps[1].config.a'],
    [['labels', 'a b'], 'labels["a b"]'],
    [['labels', 'a.b'], 'labels["a.b"]'],
  ])('%j is written and read back', (path, text) => {
    expect(formatPath(path)).toBe(text);
    expect(parsePath(text)).toEqual(path);
  });

  it('reads JSON pointers and prefixes of servers', () => {
    expect(parsePath('/steps/0/config/a~1b')).toEqual(['steps', 0, 'config', 'a/b']);
    expect(parsePath('graph.steps[2].id')).toEqual(['steps', 2, 'id']);
  });
});

describe('schemaFields()', () => {
  it('flattens objects and shows defaults and bounds', () => {
    const schema = {
      properties: {
        preset: { enum: ['pico', 'nano'], default: 'pico', description: 'size' },
        optimizer: {
          properties: { lr: { type: 'number', exclusiveMinimum: 0, maximum: 1, default: 0.003 } },
        },
        names: { type: 'array', items: { type: 'string' }, minItems: 1 },
      },
    };
    expect(schemaFields(schema)).toEqual([
      { path: 'preset', type: 'choice', default: '"pico"', bounds: 'pico, nano', description: 'size' },
      { path: 'optimizer.lr', type: 'number', default: '0.003', bounds: '> 0, ≤ 1', description: '' },
      { path: 'names', type: 'list of string', default: '–', bounds: '≥ 1', description: '' },
    ]);
  });

  it('shows what a group and a list of objects are, and each of their fields', () => {
    const region = {
      type: 'object',
      properties: { from: { type: 'number', minimum: 0 } },
      description: 'part',
    };
    const name = { type: 'string', pattern: '^[a-z]+$', description: 'name' };
    const schema = {
      properties: {
        founders: {
          type: 'array',
          items: { type: 'object', properties: { name, region } },
          maxItems: 8,
          default: [{ name: 'a' }, { name: 'b' }],
          description: 'founders',
        },
        operators: { type: 'array', items: { enum: ['linear', 'slerp'] }, minItems: 1, default: ['slerp'] },
      },
    };
    expect(
      schemaFields(schema).map(({ path, type, default: value, bounds, description }) =>
        [path, type, value, bounds, description].join(' | '),
      ),
    ).toEqual([
      'founders | list of object | 2 entries | ≤ 8 | founders',
      'founders[].name | string | – | ^[a-z]+$ | name',
      'founders[].region | object | – |  | part',
      'founders[].region.from | number | – | ≥ 0 | ',
      'operators | list of choice | ["slerp"] | ≥ 1 of linear, slerp | ',
    ]);
  });
});
