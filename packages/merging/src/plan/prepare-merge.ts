import { type Checkpoint, openModelFolder } from '../checkpoint/checkpoint.js';
import { layoutOf } from '../checkpoint/layout.js';
import { InvalidRecipeError, type RecipeProblem } from '../merging.errors.js';
import type { RecipeFile } from '../recipe/parse-recipe.js';
import { type MergeRecipe, modelsOf, type RecipePath } from '../recipe/recipe.js';
import { Vocabularies } from '../tokenizer/vocabulary.js';
import type { MergePlan } from './plan.js';
import { planMerge } from './plan-merge.js';

/**
 * Opens the models of a recipe file and plans every merge of it, in the order they are made.
 * @param baseFolder  what folders are relative to
 * @throws InvalidRecipeError  INVALID_ARGUMENT: every model that cannot be read, or that does not fit the others
 */
export async function prepareMerge(
  { recipes, documents }: RecipeFile,
  baseFolder: string,
): Promise<MergePlan[]> {
  const known = new Map<string, Checkpoint | string>();
  const vocabularies = new Vocabularies();
  const plans: MergePlan[] = [];
  const problems: RecipeProblem[] = [];
  for (const recipe of recipes) {
    const models = new Map<string, Checkpoint>();
    for (const reference of modelsOf(recipe)) {
      const found = known.get(reference) ?? (await openModelFolder(reference, baseFolder, vocabularies));
      known.set(reference, found);
      if (typeof found !== 'string') models.set(reference, found);
      else if (!isStage(recipes, reference)) {
        problems.push(documents.problem(recipe.document, placeOfModel(recipe, reference), found));
      }
    }
    if (models.size < modelsOf(recipe).length) continue;
    const { plan, problems: own } = planMerge(recipe, models);
    problems.push(...own.map(({ path, message }) => documents.problem(recipe.document, path, message)));
    if (!plan) continue;
    plans.push(plan);
    if (recipe.name !== undefined) known.set(recipe.name, plannedCheckpoint(recipe.name, plan));
  }
  if (problems.length > 0) throw new InvalidRecipeError(problems);
  return plans;
}

/** A merge that is still to be made, as a model of later ones: its tensors have types and shapes, and no values yet. */
function plannedCheckpoint(name: string, { config, tensors, vocabulary, donor }: MergePlan): Checkpoint {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    reference: name,
    folder: '',
    files: donor.files,
    config,
    layout: layoutOf(byName.keys()),
    vocabulary: vocabulary.tokenizer ?? vocabulary.donor.vocabulary,
    tensors: {
      names: [...byName.keys()],
      has: (tensor) => byName.has(tensor),
      info: (tensor) => byName.get(tensor) ?? { dtype: 'F32', shape: [] },
      place: () => {
        throw new TypeError(`${name} is not made yet`);
      },
      readF32Into: () => Promise.reject(new TypeError(`${name} is not made yet`)),
    },
  };
}

function isStage(recipes: readonly MergeRecipe[], reference: string): boolean {
  return recipes.some(({ name }) => name === reference);
}

/** Where a recipe first names a model. */
function placeOfModel({ base, slices, tokenizer }: MergeRecipe, reference: string): RecipePath {
  const source = slices.flatMap(({ sources }) => sources).find(({ model }) => model === reference);
  if (source && source.path[0] !== 'base_model') return [...source.path, 'model'];
  if (base === reference) return ['base_model'];
  const slice = slices.find((one) => one.base === reference);
  if (slice) return [...slice.path, 'base_model'];
  return tokenizer?.path ?? [];
}
