import { InvalidRecipeError } from '../merging.errors.js';
import { parseRecipe } from './parse-recipe.js';
import { evaluateSetting } from './setting.js';

const LINEAR =
  'merge_method: linear\nmodels:\n  - {model: a, parameters: {weight: 1}}\n  - {model: b, parameters: {weight: 2}}\n';

function problemsOf(text: string): string[] {
  try {
    parseRecipe(text);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRecipeError);
    return (error as InvalidRecipeError).problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe('evaluateSetting()', () => {
  it.each([
    [0.3, 'x', 0.7, 0.3],
    [[0, 1], 'x', 0.25, 0.25],
    [[0, 0.5, 1], 'x', 0.75, 0.75],
    [[1, 3], 'x', 1, 3],
    [[5], 'x', 0.4, 5],
    [[true, false, false], 'x', 0.4, true],
    [
      [
        { filter: 'mlp', value: 1 },
        { filter: null, value: [2, 4] },
      ],
      'model.mlp.up',
      0.5,
      1,
    ],
    [
      [
        { filter: 'mlp', value: 1 },
        { filter: null, value: [2, 4] },
      ],
      'model.norm',
      0.5,
      3,
    ],
    [
      [
        { filter: '*', value: 7 },
        { filter: null, value: 8 },
      ],
      'model.norm',
      0,
      7,
    ],
    [[{ filter: 'mlp', value: 1 }], 'model.norm', 0, undefined],
  ])('%j for %s at %f is %j', (setting, name, t, expected) => {
    expect(evaluateSetting(setting, name, t)).toBe(expected);
  });
});

describe('parseRecipe()', () => {
  it('reads models, parameters, types and a tokenizer', () => {
    const { recipes } = parseRecipe(
      `${LINEAR}dtype: float32\nout_dtype: bfloat16\ntokenizer_source: union\n`,
    );
    expect(recipes).toHaveLength(1);
    expect(recipes[0]).toMatchObject({
      form: 'models',
      dtype: 'BF16',
      tokenizer: { source: 'union' },
      seed: 0,
    });
    expect(recipes[0]?.slices[0]?.sources.map(({ model }) => model)).toEqual(['a', 'b']);
  });

  it('adds a base that is not among the models, as mergekit does', () => {
    const text = 'merge_method: ties\nbase_model: base\nmodels:\n  - {model: a, parameters: {weight: 1}}\n';
    expect(parseRecipe(text).recipes[0]?.slices[0]?.sources.map(({ model }) => model)).toEqual(['a', 'base']);
  });

  it('says what has no effect', () => {
    const text = `${LINEAR}dtype: bfloat16\nparameters: {int8_mask: true, density: 0.5, normalize: true}\n`;
    const [recipe] = parseRecipe(text).recipes;
    expect(recipe?.remarks).toEqual([
      'int8_mask has no effect on linear',
      'density has no effect on linear',
      expect.stringContaining('dtype: merging is in float32'),
    ]);
    expect(recipe?.parameters).toEqual({ normalize: true });
  });

  it('orders merges that use each other, and leaves out what the result does not need', () => {
    const stage = (name: string, model: string) =>
      `name: ${name}\nmerge_method: passthrough\nmodels: [{model: ${model}}]\n`;
    const last = 'merge_method: passthrough\nmodels: [{model: second}]\n';
    const text = [last, stage('second', 'first'), stage('unused', 'x'), stage('first', 'y')].join('---\n');
    expect(parseRecipe(text).recipes.map(({ name }) => name)).toEqual(['first', 'second', undefined]);
  });

  it('finds every problem at once, each with line and column', () => {
    const text = `merge_method: tyes
base_model: [x]
models:
  - model: a
    parameters: {weight: heavy}
    colour: red
  - 7
slices: []
dtype: int4
tokenizer: {source: union, pad_to_multiple_of: 0}
tokenizer_source: base
`;
    const found = problemsOf(text);
    for (const path of [
      'merge_method',
      'base_model',
      'slices',
      'dtype',
      'tokenizer.pad_to_multiple_of',
      'tokenizer_source',
    ]) {
      expect(found.filter((line) => line.startsWith(`${path}: `))).toHaveLength(1);
    }
    try {
      parseRecipe(text);
    } catch (error) {
      expect((error as InvalidRecipeError).problems.find(({ path }) => path === 'dtype')?.position).toEqual({
        line: 9,
        column: 8,
      });
    }
  });

  it.each([
    ['', 'is empty'],
    ['a: [', ''],
    ['merge_method: linear\n', 'neither models nor slices'],
    [`${LINEAR}parameters: {wieght: 1}\n`, 'parameters.wieght: is no parameter of linear'],
    [`${LINEAR}parameters: {normalize: 3}\n`, 'parameters.normalize: is 3; true or false'],
    [`${LINEAR}parameters: {normalize: yes}\n`, 'parameters.normalize: is "yes"; true or false'],
    [`${LINEAR}parameters: {weight: []}\n`, 'parameters.weight: is an empty list'],
    [
      `${LINEAR}parameters: {weight: [{filter: 3, value: {}}]}\n`,
      'parameters.weight[0].filter: 3 is no part',
    ],
    [`${LINEAR}parameters: {weight: [{filter: mlp, value: .inf}]}\n`, 'parameters.weight[0].value: is null'],
    [`${LINEAR}parameters: {seed: -1}\n`, 'parameters.seed: -1 is no whole number from 0'],
    [`${LINEAR}modules: {}\n`, 'modules: are for models of several parts'],
    [`${LINEAR}chat_template: chatml\n`, 'neither "auto" nor a Jinja template'],
    ['merge_method: linear\nmodels: [{model: a}, {model: a}]\n', 'models[1].model: is also number 0 here'],
    ['merge_method: ties\nmodels: [{model: a}, {model: b}]\n', 'base_model: is missing'],
    [
      'merge_method: ties\nbase_model: o\nmodels: [{model: a, parameters: {density: 0}}]\n',
      'a number above 0 up to 1',
    ],
    [
      'merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}, {model: c}]\n',
      'models: 2 models; slerp: it takes exactly 1',
    ],
    ['merge_method: model_stock\nbase_model: a\nmodels: [{model: b}]\n', 'at least 2 besides the base'],
    [
      'merge_method: ties\nbase_model: o\nslices: [{sources: [{model: a, layer_range: [0, 2]}]}]\n',
      'slices[0].sources: lack the base model o',
    ],
    [
      'merge_method: linear\nslices: [{sources: [{model: a, layer_range: [0, 2]}, {model: b, layer_range: [0, 3]}]}]\n',
      'have 2 and 3 layers',
    ],
    [
      'merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [3, 3]}]}]\n',
      '[3, 3] has no layer',
    ],
    ['merge_method: passthrough\nslices: [{sources: [{model: a}]}]\n', 'layer_range: nothing is no range'],
    [`${LINEAR}---\n${LINEAR}`, 'document 2: is the second merge without a name'],
    ['name: x\nmerge_method: passthrough\nmodels: [{model: x}]\n', 'name: x is merged from itself'],
    [
      `${LINEAR}tokenizer: {tokens: {a: {source: {kind: model_token, model: b}}}}\n`,
      'needs either token or token_id',
    ],
  ])('refuses %j: %s', (text, message) => {
    expect(problemsOf(text).join('\n')).toContain(message);
    expect(problemsOf(text)).not.toEqual([]);
  });
});
