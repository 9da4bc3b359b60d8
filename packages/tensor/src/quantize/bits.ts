import { native } from '../backend.js';
import { typed } from '../ops/operand.js';
import { Tensor } from '../tensor.js';

/** How integers are laid into bytes. */
export interface BitLayout {
  /** Bits of each value, 1..31. */
  readonly width: number;
  /** Two's complement instead of 0..2^width − 1. Default false. */
  readonly isSigned?: boolean;
}

/**
 * Integers one after another, `width` bits each, least significant bit first, no gaps.
 * @param values  i32, i8 or u8, any shape
 * @returns       u8 [⌈size · width / 8⌉]
 * @throws ArgumentError INVALID_ARGUMENT: a value does not fit, with its position
 */
export function packBits(values: Tensor, { width, isSigned = false }: BitLayout): Tensor {
  const handle = native().packBits(values.use('packBits'), width, isSigned);
  return new Tensor(handle, 'u8', [Math.ceil((values.size * width) / 8)]);
}

/**
 * The integers that packBits() laid down: i32 [count].
 * @throws ShapeError INVALID_ARGUMENT: another number of bytes than `count` values take
 */
export function unpackBits(bytes: Tensor, count: number, { width, isSigned = false }: BitLayout): Tensor {
  const handle = native().unpackBits(typed('unpackBits', bytes, 'u8'), count, width, isSigned);
  return new Tensor(handle, 'i32', [count]);
}
