export {
  InvalidRecipeError,
  MergeOperandError,
  OutputExistsError,
  type RecipeProblem,
} from './merging.errors.js';
export { type MergeRequest, type MergeSource, mergeTensors } from './operators/merge-tensors.js';
export type { BaseRole, MergeMethod, MergeOperands } from './operators/method.js';
export { MERGE_METHODS } from './operators/methods.js';
export { type MergeParameter, type ParameterValue, rangeOf, type Settings } from './operators/parameter.js';
export { type MergePlan, sizeBytesOf, workingBytesOf } from './plan/plan.js';
export { prepareMerge } from './plan/prepare-merge.js';
export { parseRecipe, type RecipeFile } from './recipe/parse-recipe.js';
export { modelsOf } from './recipe/recipe.js';
export {
  formatRecipes,
  type WrittenParameters,
  type WrittenRecipe,
  type WrittenSource,
} from './recipe/write-recipe.js';
export {
  DEFAULT_SHARD_BYTES,
  type MergeOutput,
  type MergeReport,
  requireFreeFolder,
  runMerge,
} from './run/run-merge.js';
export type { MergeHooks, MergeProgress } from './run/write-weights.js';
