import type { Handle } from '@agentforge/native';
import type { DType, Shape } from '../dtype.js';
import { formatShape } from '../dtype.js';
import { ArgumentError, DtypeError, ShapeError } from '../errors.js';
import { Tensor } from '../tensor.js';

/** What an operand is, as messages write it: `f32[2,3]`. */
function kindOf({ dtype, shape }: Tensor): string {
  return dtype + formatShape(shape);
}

function refuseDtype(op: string, x: Tensor, wanted: DType, ...beside: (Tensor | null | undefined)[]): never {
  const others = beside.filter((other): other is Tensor => other !== undefined && other !== null).map(kindOf);
  const rest = others.length > 0 ? ` beside ${others.join(' and ')}` : '';
  throw new DtypeError(`${op}: takes ${wanted}, got ${kindOf(x)}${rest}`);
}

/**
 * The handle of an f32 operand.
 * @param beside   the other operands, for the message alone; no rest parameter, which would be an array for every call
 * @throws DtypeError, FreedTensorError
 */
export function float(op: string, x: Tensor, beside?: Tensor | null, another?: Tensor | null): Handle {
  if (x.dtype !== 'f32') refuseDtype(op, x, 'f32', beside, another);
  return x.use(op);
}

/**
 * The handle of an i32 operand; `beside` as of `float`.
 * @throws DtypeError, FreedTensorError
 */
export function integer(op: string, x: Tensor, beside?: Tensor | null, another?: Tensor | null): Handle {
  if (x.dtype !== 'i32') refuseDtype(op, x, 'i32', beside, another);
  return x.use(op);
}

/**
 * The handle of an operand of any one dtype.
 * @throws DtypeError, FreedTensorError
 */
export function typed(op: string, x: Tensor, dtype: DType): Handle {
  if (x.dtype !== dtype) refuseDtype(op, x, dtype);
  return x.use(op);
}

/** A new f32 tensor around a handle that an operation returned. */
export function result(handle: Handle, shape: Shape): Tensor {
  return new Tensor(handle, 'f32', shape);
}

/**
 * Throws a ShapeError that names the operation, every shape, and the rule that was broken.
 */
export function refuseShapes(op: string, rule: string, ...operands: readonly Tensor[]): never {
  const shapes = operands.map((x) => formatShape(x.shape)).join(' and ');
  throw new ShapeError(`${op}: ${shapes}: ${rule}`);
}

/**
 * Throws a DtypeError that names the operation, what every operand is, and the rule that was broken.
 */
export function refuseDtypes(op: string, rule: string, ...operands: readonly Tensor[]): never {
  throw new DtypeError(`${op}: ${operands.map(kindOf).join(' and ')}: ${rule}`);
}

/**
 * An axis counted from the front; negative axes count from the end.
 * @throws ArgumentError INVALID_ARGUMENT: there is no such axis
 */
export function axisOf(op: string, x: Tensor, axis: number): number {
  const rank = x.shape.length;
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank) {
    throw new ArgumentError(`${op}: ${formatShape(x.shape)} has no axis ${axis}`);
  }
  return resolved;
}

/** The length of the last axis, 1 for a shape without axes. */
export function lastAxis(shape: Shape): number {
  return shape[shape.length - 1] ?? 1;
}
