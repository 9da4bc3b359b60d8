import {
  BLOCK_SIZES,
  type BlockFormat as BlockFormatName,
  decodeBlocks,
  encodeBlocks,
  scope,
  tensor,
} from '@agentforge/tensor';
import { bf16Bits, bf16ToF32, f16Bits, f16ToF32, toHalfBytes } from '../safetensors/half.js';

/**
 * The block formats of ggml, encoded and decoded to the bit as its reference quantisers do: the layouts of
 * quantised types are known to the compute core, `encodeBlocks`.
 * @see ggml-common.h (layouts) and ggml-quants.c (`quantize_row_*_ref`) of ggml-org/ggml
 */
export interface BlockFormat {
  /** Elements of a block; rows are whole blocks. */
  readonly elements: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Values, whole blocks, as bytes. */
  encode(values: Float32Array): Uint8Array;
  /** Bytes, whole blocks, as values. */
  decode(bytes: Uint8Array): Float32Array;
}

const f32: BlockFormat = {
  elements: 1,
  bytes: 4,
  encode: (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  decode: (bytes) => new Float32Array(new Uint8Array(bytes).buffer),
};

const f16: BlockFormat = {
  elements: 1,
  bytes: 2,
  encode: (values) => toHalfBytes(values, f16Bits),
  decode: f16ToF32,
};

const bf16: BlockFormat = {
  elements: 1,
  bytes: 2,
  encode: (values) => toHalfBytes(values, bf16Bits),
  decode: bf16ToF32,
};

/** A format that the compute core encodes and decodes. Values that it cannot hold are refused with INVALID_ARGUMENT. */
function native(format: BlockFormatName): BlockFormat {
  return {
    ...BLOCK_SIZES[format],
    encode: (values) => scope(() => encodeBlocks(tensor(values), format).toTypedArray() as Uint8Array),
    decode: (bytes) =>
      scope(() => decodeBlocks(tensor(bytes, undefined, { dtype: 'u8' }), format).toFloat32Array()),
  };
}

/** Formats by the name that ggml gives them. */
export const BLOCK_FORMATS = {
  F32: f32,
  F16: f16,
  BF16: bf16,
  Q8_0: native('Q8_0'),
  TQ1_0: native('TQ1_0'),
  TQ2_0: native('TQ2_0'),
} as const;

/** Name of a tensor type that can be read and written. */
export type GgmlType = keyof typeof BLOCK_FORMATS;

/** Number of each type in a file. @see `enum ggml_type` in ggml.h */
export const GGML_TYPE_IDS: Readonly<Record<GgmlType, number>> = {
  F32: 0,
  F16: 1,
  Q8_0: 8,
  BF16: 30,
  TQ1_0: 34,
  TQ2_0: 35,
};

/** Bytes of a tensor; its rows are whole blocks. */
export function ggmlBytes(type: GgmlType, elements: number): number {
  const { elements: perBlock, bytes } = BLOCK_FORMATS[type];
  return (elements / perBlock) * bytes;
}
