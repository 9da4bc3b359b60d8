import { STORED_WEIGHTS } from '@agentforge/native';
import { native } from './backend.js';
import type { Shape } from './dtype.js';
import { float, result } from './ops/operand.js';
import type { Tensor } from './tensor.js';

/** Types that files keep weights in. */
export type StoredType = keyof typeof STORED_WEIGHTS;

/** Where weights lie in an open file. */
export interface StoredPlace {
  /** Descriptor, as FileHandle.fd. */
  readonly file: number;
  /** Byte of the file, from 0. */
  readonly position: number;
}

/**
 * An f32 tensor from a file: little-endian, row-major, exact. Waits for the file; all compute threads read.
 * @throws ArgumentError INVALID_ARGUMENT: the file ends before
 * @throws AppError      INTERNAL: the file cannot be read
 */
export function readWeights({ file, position }: StoredPlace, type: StoredType, shape: Shape): Tensor {
  return result(native().readWeights(file, position, STORED_WEIGHTS[type], shape), shape);
}

/** Has bytes that {@link readWeights} will ask for brought into memory; does not wait. */
export function prefetchWeights({ file, position }: StoredPlace, bytes: number): void {
  native().prefetchFile(file, position, bytes);
}

/**
 * Fills `bytes` with the elements from `begin` on, as files keep them: rounded to the nearest, ties to even.
 * @throws ShapeError INVALID_ARGUMENT: there are not as many elements
 */
export function encodeWeights(x: Tensor, type: StoredType, bytes: Uint8Array, begin = 0): void {
  native().encodeWeights(float('encodeWeights', x), STORED_WEIGHTS[type], begin, bytes);
}
