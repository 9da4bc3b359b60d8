import type { WeightsDtype } from '@agentforge/model';
import { InvalidRecipeError } from '../merging.errors.js';
import { countOf } from '../operators/merge-tensors.js';
import type { MergeMethod } from '../operators/method.js';
import { MERGE_METHODS } from '../operators/methods.js';
import { checkParameters, type ParameterCheck, SEED } from './check-parameters.js';
import { checkTokenizer } from './check-tokenizer.js';
import { describe, type Fields, Problems } from './fields.js';
import {
  type MergeRecipe,
  modelsOf,
  type RecipePath,
  type RecipeSlice,
  type RecipeSource,
} from './recipe.js';
import { RecipeDocuments } from './recipe-document.js';

/** A checked file: the merges in the order they are made; the last one is the result. */
export interface RecipeFile {
  readonly recipes: readonly MergeRecipe[];
  /** For problems that only the models show. */
  readonly documents: RecipeDocuments;
}

const KEYS = [
  'name',
  'merge_method',
  'base_model',
  'models',
  'slices',
  'parameters',
  'dtype',
  'out_dtype',
  'tokenizer_source',
  'tokenizer',
  'chat_template',
];

const DTYPES: Readonly<Record<string, WeightsDtype>> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };

/**
 * Reads a recipe in mergekit's YAML. Several documents are several merges, of which later ones may use earlier ones by
 * their `name`, as in `mergekit-multi`.
 * @throws InvalidRecipeError  INVALID_ARGUMENT: everything that is wrong with it, with line and column
 */
export function parseRecipe(text: string): RecipeFile {
  const documents = new RecipeDocuments(text);
  if (documents.problems.length > 0) throw new InvalidRecipeError(documents.problems);
  if (documents.values.length === 0)
    throw new InvalidRecipeError([{ path: '', message: 'the file is empty' }]);
  const checked = documents.values.map((value, document) => {
    const problems = new Problems();
    return { recipe: checkRecipe(value, document, problems), problems, document };
  });
  checkNames(checked);
  const found = checked.flatMap(({ problems, document }) =>
    problems.found.map(({ path, message }) => documents.problem(document, path, message)),
  );
  if (found.length > 0) throw new InvalidRecipeError(found);
  return { recipes: inOrder(checked.flatMap(({ recipe }) => recipe ?? [])), documents };
}

function checkRecipe(value: unknown, document: number, problems: Problems): MergeRecipe | undefined {
  if (typeof value === 'object' && value !== null && 'modules' in value) {
    problems.add(
      ['modules'],
      'are for models of several parts, which are not merged here: use models or slices',
    );
  }
  const fields = problems.map(value, [], [...KEYS, 'modules']);
  if (!fields) return undefined;
  const method = methodOf(fields['merge_method'], problems);
  const remarks = new Set<string>();
  const check: ParameterCheck = { problems, method, remarks };
  const base = optionalText(fields, 'base_model', problems, 'model');
  const parameters = checkParameters(fields['parameters'], ['parameters'], check, true);
  const name = optionalText(fields, 'name', problems, 'name');
  const dtype = dtypeOf(fields, problems, remarks);
  const tokenizer = checkTokenizer(fields, problems);
  const chatTemplate = optionalText(fields, 'chat_template', problems, 'template');
  if (chatTemplate !== undefined && chatTemplate !== 'auto' && !chatTemplate.includes('{')) {
    problems.add(['chat_template'], `${describe(chatTemplate)} is neither "auto" nor a Jinja template`);
  }
  const slices = checkSlices(fields, check);
  if (method) for (const slice of slices) checkCounts(slice, method, base, 'slices' in fields, problems);
  if (!method) return undefined;
  return {
    document,
    ...(name === undefined ? {} : { name }),
    method,
    ...(base === undefined ? {} : { base }),
    form: 'slices' in fields ? 'slices' : 'models',
    slices: 'slices' in fields ? slices : withBase(slices, base),
    parameters,
    seed: seedOf(fields['parameters'], problems),
    ...(dtype === undefined ? {} : { dtype }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    remarks: [...remarks],
  };
}

function methodOf(value: unknown, problems: Problems): MergeMethod | undefined {
  const method = typeof value === 'string' ? MERGE_METHODS.get(value) : undefined;
  if (!method) {
    problems.add(
      ['merge_method'],
      `${describe(value)} is no merge method; there are ${[...MERGE_METHODS.keys()].join(', ')}`,
    );
  }
  return method;
}

function optionalText(fields: Fields, key: string, problems: Problems, what: string): string | undefined {
  const value = fields[key];
  return value === undefined || value === null ? undefined : problems.text(value, [key], what);
}

/** The type of the result: `out_dtype`, else `dtype`. */
function dtypeOf(fields: Fields, problems: Problems, remarks: Set<string>): WeightsDtype | undefined {
  const read = (key: string) => {
    const value = fields[key];
    if (value === undefined || value === null) return undefined;
    const word = problems.oneOf(value, [key], Object.keys(DTYPES));
    return word === undefined ? undefined : DTYPES[word];
  };
  const [dtype, outDtype] = [read('dtype'), read('out_dtype')];
  if (dtype !== undefined && dtype !== 'F32') {
    remarks.add('dtype: merging is in float32 whatever it says; it is the type of the result');
  }
  return outDtype ?? dtype;
}

function seedOf(parameters: unknown, problems: Problems): number {
  const isMap = typeof parameters === 'object' && parameters !== null;
  const value = isMap ? ((parameters as Fields)[SEED] ?? 0) : 0;
  return problems.wholeNumber(value, ['parameters', SEED], 0) ?? 0;
}

function checkSlices(fields: Fields, check: ParameterCheck): RecipeSlice[] {
  const { problems } = check;
  const forms = ['models', 'slices'].filter((key) => fields[key] !== undefined && fields[key] !== null);
  if (forms.length !== 1) {
    const said = forms.length === 0 ? 'neither models nor slices' : 'both models and slices';
    problems.add(forms.length === 0 ? [] : ['slices'], `there are ${said}: give one of them`);
    return [];
  }
  if (forms[0] === 'models') {
    const sources = checkSources(fields['models'], ['models'], check, false);
    return [{ path: ['models'], sources, parameters: {} }];
  }
  return problems.list(fields['slices'], ['slices'], 'slices').flatMap((value, i): RecipeSlice[] => {
    const path: RecipePath = ['slices', i];
    const slice = problems.map(value, path, ['sources', 'base_model', 'parameters']);
    if (!slice) return [];
    const sources = checkSources(slice['sources'], [...path, 'sources'], check, true);
    const lengths = new Set(sources.flatMap(({ layers }) => (layers ? [layers[1] - layers[0]] : [])));
    if (lengths.size > 1) {
      problems.add([...path, 'sources'], `have ${[...lengths].join(' and ')} layers; all must have as many`);
    }
    const own = slice['base_model'];
    const base =
      own === undefined || own === null ? undefined : problems.text(own, [...path, 'base_model'], 'model');
    const parameters = checkParameters(slice['parameters'], [...path, 'parameters'], check);
    return [{ path, sources, ...(base === undefined ? {} : { base }), parameters }];
  });
}

function checkSources(
  value: unknown,
  path: RecipePath,
  check: ParameterCheck,
  hasLayers: boolean,
): RecipeSource[] {
  const { problems } = check;
  const keys = hasLayers ? ['model', 'layer_range', 'parameters'] : ['model', 'parameters'];
  const seen = new Map<string, number>();
  return problems.list(value, path, 'models').flatMap((item, i): RecipeSource[] => {
    const at = [...path, i];
    const fields = problems.map(item, at, keys);
    const model = fields && problems.text(fields['model'], [...at, 'model'], 'model');
    const layers =
      hasLayers && fields ? layerRange(fields['layer_range'], [...at, 'layer_range'], problems) : undefined;
    const parameters = checkParameters(fields?.['parameters'], [...at, 'parameters'], check);
    if (!model) return [];
    const other = seen.get(model);
    if (other !== undefined) {
      problems.add(
        [...at, 'model'],
        `is also number ${other} here, and would count once: remove one of them`,
      );
    }
    seen.set(model, i);
    return [{ path: at, model, ...(layers ? { layers } : {}), parameters }];
  });
}

function layerRange(
  value: unknown,
  path: RecipePath,
  problems: Problems,
): readonly [number, number] | undefined {
  if (Array.isArray(value) && value.length === 2) {
    const [from, to] = value as [unknown, unknown];
    const [low, high] = [
      problems.wholeNumber(from, [...path, 0], 0),
      problems.wholeNumber(to, [...path, 1], 1),
    ];
    if (low === undefined || high === undefined) return undefined;
    if (low < high) return [low, high];
    problems.add(path, `[${low}, ${high}] has no layer: the second number is the layer after the last one`);
    return undefined;
  }
  problems.add(path, `${describe(value)} is no range of layers like [0, 8]`);
  return undefined;
}

/** A base that is not among the models counts as one of them, without parameters of its own, as in mergekit. */
function withBase(slices: readonly RecipeSlice[], base: string | undefined): RecipeSlice[] {
  return slices.map((slice) => {
    const isListed = base === undefined || slice.sources.some(({ model }) => model === base);
    if (isListed) return slice;
    return { ...slice, sources: [...slice.sources, { path: ['base_model'], model: base, parameters: {} }] };
  });
}

/** Whether a slice has as many models as its method takes, and the base that it needs. */
function checkCounts(
  slice: RecipeSlice,
  method: MergeMethod,
  ownBase: string | undefined,
  isSliced: boolean,
  problems: Problems,
): void {
  const { path, sources } = slice;
  const base = slice.base ?? ownBase;
  if (sources.length === 0) return;
  const hasBase = base !== undefined && sources.some(({ model }) => model === base);
  const total = sources.length + (isSliced || hasBase || base === undefined ? 0 : 1);
  const others = method.base === 'member' ? total : sources.length - (hasBase ? 1 : 0);
  if (method.base === 'required' && base === undefined) {
    problems.add(['base_model'], `is missing: ${method.name} measures the models from a base`);
  } else if (isSliced && method.base === 'required' && !hasBase) {
    problems.add([...path, 'sources'], `lack the base model ${base}: list it with its layer_range`);
  } else {
    const [least, most] = method.models;
    const isLone = method.copiesLone && total === 1;
    if (!isLone && (others < least || others > most)) {
      problems.add(path, `${others} models; ${method.name}: ${countOf([least, most], method.base)}`);
    }
  }
}

function checkNames(checked: readonly { recipe: MergeRecipe | undefined; problems: Problems }[]): void {
  const seen = new Set<string>();
  let unnamed = 0;
  for (const { recipe, problems } of checked) {
    if (recipe === undefined) continue;
    if (recipe.name === undefined) {
      if (++unnamed > 1)
        problems.add([], 'is the second merge without a name: only the result may have none');
    } else if (seen.has(recipe.name))
      problems.add(['name'], `${recipe.name} is the name of another merge, too`);
    else seen.add(recipe.name);
  }
  for (const { recipe, problems } of checked) {
    if (recipe?.name !== undefined && dependsOn(recipe, recipe.name, checked)) {
      problems.add(['name'], `${recipe.name} is merged from itself`);
    }
  }
}

function dependsOn(
  recipe: MergeRecipe,
  name: string,
  checked: readonly { recipe: MergeRecipe | undefined }[],
  visited = new Set<string>(),
): boolean {
  return modelsOf(recipe).some((model) => {
    if (model === name) return true;
    if (visited.has(model)) return false;
    visited.add(model);
    const next = checked.find((other) => other.recipe?.name === model)?.recipe;
    return next !== undefined && dependsOn(next, name, checked, visited);
  });
}

/** Every merge after those it uses; the result, which has no name or is the last of the file, at the end. */
function inOrder(recipes: readonly MergeRecipe[]): MergeRecipe[] {
  const byName = new Map(recipes.map((recipe) => [recipe.name, recipe]));
  const ordered: MergeRecipe[] = [];
  const add = (recipe: MergeRecipe): void => {
    if (ordered.includes(recipe)) return;
    for (const model of modelsOf(recipe)) {
      const needed = byName.get(model);
      if (needed && needed !== recipe) add(needed);
    }
    ordered.push(recipe);
  };
  const result = recipes.find(({ name }) => name === undefined) ?? recipes.at(-1);
  if (result) add(result);
  return ordered;
}
