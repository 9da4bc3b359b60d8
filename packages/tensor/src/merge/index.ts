/**
 * Merging of models, tensor by tensor, by mergekit's rules (version a6e4028). Every function takes f32 tensors of one
 * shape, changes none of them, returns a new one, and is not recorded for backward(). Sums are accumulated in f64 in
 * the order of the models: the same bytes on every machine.
 */
export {
  breadcrumbs,
  breadcrumbsTies,
  dareLinear,
  dareTies,
  della,
  dellaLinear,
  type RandomOptions,
  type Rescale,
  type SparseOptions,
  type TaskVectorOptions,
  taskArithmetic,
  ties,
} from './task-vectors.js';
export { arceeFusion, nearswap, passthrough, ram, ramPlus, sce } from './votes.js';
export { karcher, linear, modelStock, multislerp, nuslerp, slerp } from './weighted.js';
