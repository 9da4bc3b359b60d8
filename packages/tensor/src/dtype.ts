/**
 * Element type of a tensor: IEEE single precision, 32-bit signed integers (token ids, indices), and bytes: unsigned for
 * packed formats, signed for codes of quantised values. Double precision is for a few numbers that stay on the device, such
 * as the norm of gradients and the settings of an optimizer; no arithmetic takes it.
 */
export type DType = 'f32' | 'i32' | 'u8' | 'i8' | 'f64';

/** Lengths of a tensor's axes, outermost first; at most six. A scalar is `[1]`. */
export type Shape = readonly number[];

/** The typed array that holds a tensor's elements on the host. */
export type TensorData = Float32Array | Int32Array | Uint8Array | Int8Array | Float64Array;

/** Number of elements of a shape: the product of its axes, 1 for no axes. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let i = 0; i < shape.length; i++) size *= shape[i] as number;
  return size;
}

/** Whether two shapes have the same axes. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A shape as it is written in messages: `[2,3]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(',')}]`;
}
