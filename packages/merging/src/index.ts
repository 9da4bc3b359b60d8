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
