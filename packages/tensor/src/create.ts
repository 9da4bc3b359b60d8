import { DTYPES } from '@agentforge/native';
import { native } from './backend.js';
import { type DType, formatShape, type Shape, sizeOf, type TensorData } from './dtype.js';
import { ArgumentError, DtypeError, ShapeError } from './errors.js';
import { parameter, Tensor } from './tensor.js';

/** What a new tensor is. */
export interface TensorOptions {
  /** Default f32; for tensor(), the kind of its data. */
  readonly dtype?: DType;
  /** Makes the tensor a leaf that gradients are accumulated for, see parameter(). Default false. */
  readonly requiresGrad?: boolean;
}

const MAX_AXES = 6;

function checkShape(op: string, shape: Shape): void {
  if (
    shape.length === 0 ||
    shape.length > MAX_AXES ||
    !shape.every((n) => Number.isSafeInteger(n) && n >= 0)
  ) {
    throw new ArgumentError(
      `${op}: ${formatShape(shape)} is not a shape: 1 to ${MAX_AXES} axes of length 0 or more`,
    );
  }
}

function finish(tensor: Tensor, options: TensorOptions): Tensor {
  return options.requiresGrad === true ? parameter(tensor) : tensor;
}

/**
 * A tensor with a copy of `data`; Int32Array, Uint8Array and Int8Array give i32, u8 and i8, others f32 unless a dtype is asked for.
 * @param shape  default: one axis
 * @throws ShapeError INVALID_ARGUMENT: the data do not fill the shape
 */
export function tensor(
  data: ArrayLike<number>,
  shape: Shape = [data.length],
  options: TensorOptions = {},
): Tensor {
  checkShape('tensor', shape);
  if (sizeOf(shape) !== data.length) {
    throw new ShapeError(`tensor: ${data.length} elements do not fill ${formatShape(shape)}`);
  }
  const dtype = options.dtype ?? dtypeOf(data);
  const handle = native().alloc(DTYPES[dtype], shape);
  native().write(handle, typedData(data, dtype));
  return finish(new Tensor(handle, dtype, shape), options);
}

const ARRAYS = {
  f32: Float32Array,
  i32: Int32Array,
  u8: Uint8Array,
  i8: Int8Array,
  f64: Float64Array,
} as const;

function dtypeOf(data: ArrayLike<number>): DType {
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof Int8Array) return 'i8';
  return data instanceof Uint8Array ? 'u8' : 'f32';
}

function typedData(data: ArrayLike<number>, dtype: DType): TensorData {
  const Elements = ARRAYS[dtype];
  if (data instanceof Elements) return data;
  const converted = Elements.from(data);
  if (dtype === 'f32' || dtype === 'f64') return converted;
  for (let i = 0; i < data.length; i++) {
    if (converted[i] !== data[i]) throw new DtypeError(`tensor: ${data[i]} at ${i} is not an ${dtype}`);
  }
  return converted;
}

/** A tensor of one value. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  checkShape('full', shape);
  const dtype = options.dtype ?? 'f32';
  return finish(new Tensor(native().full(DTYPES[dtype], shape, value), dtype, shape), options);
}

/** A tensor of zeros. */
export function zeros(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 0, options);
}

/** A tensor of ones. */
export function ones(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 1, options);
}

/** A tensor with undefined elements, to be written before it is read. */
export function empty(shape: Shape, options: TensorOptions = {}): Tensor {
  checkShape('empty', shape);
  const dtype = options.dtype ?? 'f32';
  return finish(new Tensor(native().alloc(DTYPES[dtype], shape), dtype, shape), options);
}

/** The integers 0 .. count − 1, i32. */
export function arange(count: number): Tensor {
  return tensor(Int32Array.from({ length: count }, (_, i) => i));
}
