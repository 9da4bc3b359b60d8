import type { Handle } from '@agentforge/native';
import { sameShape } from '../dtype.js';
import { ArgumentError } from '../errors.js';
import { float, refuseShapes, result } from '../ops/operand.js';
import type { Tensor } from '../tensor.js';

/**
 * The handles of models of one shape, all f32.
 * @param base  what task vectors are measured from; null where the method has none
 * @throws ArgumentError INVALID_ARGUMENT: fewer models than the method takes
 * @throws ShapeError, DtypeError INVALID_ARGUMENT: shapes differ, or are not f32
 */
export function modelHandles(
  op: string,
  models: readonly Tensor[],
  base: Tensor | null,
  least = 1,
): Handle[] {
  const first = base ?? models[0];
  if (first === undefined || models.length < least) {
    throw new ArgumentError(`${op}: ${models.length} models, needs at least ${least}`);
  }
  for (const model of models) {
    if (!sameShape(model.shape, first.shape)) refuseShapes(op, 'models must have one shape', first, model);
  }
  return models.map((model) => float(op, model));
}

/** One number per model, from one for all or one each. */
export function perModel(
  op: string,
  what: string,
  models: readonly Tensor[],
  given: number | readonly number[],
): number[] {
  const numbers = typeof given === 'number' ? models.map(() => given) : [...given];
  if (numbers.length !== models.length) {
    throw new ArgumentError(`${op}: ${models.length} models and ${numbers.length} ${what}`);
  }
  return numbers;
}

/** A new tensor of the models' shape around a handle. Merges are not recorded for backward(). */
export function merged(handle: Handle, like: Tensor): Tensor {
  return result(handle, like.shape);
}
