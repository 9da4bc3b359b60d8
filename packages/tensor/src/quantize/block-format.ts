import { BLOCK_FORMATS } from '@agentforge/native';
import { native } from '../backend.js';
import { lastAxis, result, typed } from '../ops/operand.js';
import { Tensor } from '../tensor.js';

/** A block format of GGUF files. F16: IEEE half. Q8_0: int8 with a scale per 32. TQ1_0, TQ2_0: ternary, a scale per 256. */
export type BlockFormat = keyof typeof BLOCK_FORMATS;

/** Elements and bytes of one block of each format; a row must be whole blocks. */
export const BLOCK_SIZES: Readonly<
  Record<BlockFormat, { readonly elements: number; readonly bytes: number }>
> = {
  F16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  TQ1_0: { elements: 256, bytes: 54 },
  TQ2_0: { elements: 256, bytes: 66 },
};

/**
 * Rows as they lie in a GGUF file, byte for byte as ggml and gguf-py write them. Every block of the ternary formats keeps
 * the sign of what is nearer to its largest magnitude than to 0; so ternary weights are exact, if their scale is an f16.
 * @param x  f32 [..., C], C whole blocks
 * @returns  u8 [..., C / elements · bytes]
 * @throws ShapeError     INVALID_ARGUMENT: C is not a multiple of the block
 * @throws ArgumentError  INVALID_ARGUMENT: an element is NaN, infinite, or beyond what the format's f16 holds
 * @see ggml-quants.c, gguf-py quants.py
 */
export function encodeBlocks(x: Tensor, format: BlockFormat): Tensor {
  const handle = native().encodeBlocks(typed('encodeBlocks', x, 'f32'), BLOCK_FORMATS[format]);
  const { elements, bytes } = BLOCK_SIZES[format];
  return new Tensor(handle, 'u8', [...x.shape.slice(0, -1), (lastAxis(x.shape) / elements) * bytes]);
}

/**
 * The values of rows of blocks: f32 [..., C] from u8 [..., bytes].
 * @throws ShapeError INVALID_ARGUMENT: the rows are not whole blocks
 */
export function decodeBlocks(blocks: Tensor, format: BlockFormat): Tensor {
  const handle = native().decodeBlocks(typed('decodeBlocks', blocks, 'u8'), BLOCK_FORMATS[format]);
  const { elements, bytes } = BLOCK_SIZES[format];
  return result(handle, [...blocks.shape.slice(0, -1), (lastAxis(blocks.shape) / bytes) * elements]);
}
