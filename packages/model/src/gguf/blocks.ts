import { bf16Bits, bf16ToF32, f16Bits, f16ToF32, f16Value, toHalfBytes } from '../safetensors/half.js';

/**
 * The block formats of ggml, encoded and decoded to the bit as its reference quantisers do. This file is the only
 * place that knows their layouts. Legend: d scale of a block, f16; q code of an element.
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

/** C's lroundf: halves away from zero. */
function roundAway(x: number): number {
  return x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5);
}

/** Largest magnitude of a block. */
function absMax(values: Float32Array, start: number, count: number): number {
  let most = 0;
  for (let i = start; i < start + count; i++) most = Math.max(most, Math.abs(values[i] ?? 0));
  return most;
}

/** 1/d in f32; 0 where there is nothing to scale. */
function inverse(d: number): number {
  const id = Math.fround(1 / d);
  return Number.isFinite(id) ? id : 0;
}

const Q8_ELEMENTS = 32;
const Q8_BYTES = 34; // d, then one signed byte an element

const q8_0: BlockFormat = {
  elements: Q8_ELEMENTS,
  bytes: Q8_BYTES,
  encode(values) {
    const out = new Uint8Array((values.length / Q8_ELEMENTS) * Q8_BYTES);
    const view = new DataView(out.buffer);
    for (let at = 0, start = 0; start < values.length; at += Q8_BYTES, start += Q8_ELEMENTS) {
      const d = Math.fround(absMax(values, start, Q8_ELEMENTS) / 127);
      const id = inverse(d);
      view.setUint16(at, f16Bits(d), true);
      for (let i = 0; i < Q8_ELEMENTS; i++) {
        view.setInt8(at + 2 + i, roundAway(Math.fround((values[start + i] ?? 0) * id)));
      }
    }
    return out;
  },
  decode(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const values = new Float32Array((bytes.length / Q8_BYTES) * Q8_ELEMENTS);
    for (let at = 0, start = 0; at < bytes.length; at += Q8_BYTES, start += Q8_ELEMENTS) {
      const d = f16Value(view.getUint16(at, true));
      for (let i = 0; i < Q8_ELEMENTS; i++) values[start + i] = d * view.getInt8(at + 2 + i);
    }
    return values;
  },
};

const TERNARY_ELEMENTS = 256;

/** Codes q = round(x/d) + 1 ∈ {0, 1, 2} of one block, and d. */
function ternaryCodes(values: Float32Array, start: number, codes: Uint8Array): number {
  const d = absMax(values, start, TERNARY_ELEMENTS);
  const id = inverse(d);
  for (let i = 0; i < TERNARY_ELEMENTS; i++) {
    codes[i] = roundAway(Math.fround((values[start + i] ?? 0) * id)) + 1;
  }
  return d;
}

/** A format of 256 codes and, at the end, their scale. */
function ternary(
  bytes: number,
  pack: (codes: Uint8Array, block: Uint8Array) => void,
  unpack: (block: Uint8Array, codes: Uint8Array) => void,
): BlockFormat {
  const dAt = bytes - 2;
  return {
    elements: TERNARY_ELEMENTS,
    bytes,
    encode(values) {
      const codes = new Uint8Array(TERNARY_ELEMENTS);
      const out = new Uint8Array((values.length / TERNARY_ELEMENTS) * bytes);
      const view = new DataView(out.buffer);
      for (let at = 0, start = 0; start < values.length; at += bytes, start += TERNARY_ELEMENTS) {
        view.setUint16(at + dAt, f16Bits(ternaryCodes(values, start, codes)), true);
        pack(codes, out.subarray(at, at + dAt));
      }
      return out;
    },
    decode(packed) {
      const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
      const codes = new Uint8Array(TERNARY_ELEMENTS);
      const values = new Float32Array((packed.length / bytes) * TERNARY_ELEMENTS);
      for (let at = 0, start = 0; at < packed.length; at += bytes, start += TERNARY_ELEMENTS) {
        const d = f16Value(view.getUint16(at + dAt, true));
        unpack(packed.subarray(at, at + dAt), codes);
        for (let i = 0; i < TERNARY_ELEMENTS; i++) values[start + i] = d * ((codes[i] ?? 1) - 1);
      }
      return values;
    },
  };
}

/** TQ2_0: two bits a code. Element n of a half block of 128 is in byte n % 32, shifted by 2⌊n/32⌋. */
const tq2_0 = ternary(
  66,
  (codes, block) => {
    for (let half = 0; half < 2; half++) {
      for (let m = 0; m < 32; m++) {
        let byte = 0;
        for (let n = 0; n < 4; n++) byte |= (codes[128 * half + m + 32 * n] ?? 0) << (2 * n);
        block[32 * half + m] = byte;
      }
    }
  },
  (block, codes) => {
    for (let n = 0; n < TERNARY_ELEMENTS; n++) {
      codes[n] = ((block[32 * (n >> 7) + (n % 32)] ?? 0) >> (2 * ((n % 128) >> 5))) & 3;
    }
  },
);

/** The three parts of a TQ1_0 block: `width` bytes hold `trits` codes each, element m + width·n as trit n of byte m. */
const TQ1_PARTS = [
  { byte: 0, element: 0, width: 32, trits: 5 },
  { byte: 32, element: 160, width: 16, trits: 5 },
  { byte: 48, element: 240, width: 4, trits: 4 },
] as const;

/**
 * TQ1_0: five codes a byte. The codes are the base-3 digits of a fraction, most significant first, rounded up to
 * 1/256: multiplying by 3 moves the next digit above the binary point.
 */
const tq1_0 = ternary(
  54,
  (codes, block) => {
    for (const { byte, element, width, trits } of TQ1_PARTS) {
      for (let m = 0; m < width; m++) {
        let digits = 0;
        for (let n = 0; n < 5; n++) {
          digits = 3 * digits + (n < trits ? (codes[element + m + width * n] ?? 0) : 0);
        }
        block[byte + m] = Math.floor((256 * digits + 242) / 243);
      }
    }
  },
  (block, codes) => {
    for (const { byte, element, width, trits } of TQ1_PARTS) {
      for (let m = 0; m < width; m++) {
        let fraction = block[byte + m] ?? 0;
        for (let n = 0; n < trits; n++) {
          codes[element + m + width * n] = (3 * fraction) >> 8;
          fraction = (3 * fraction) & 0xff;
        }
      }
    }
  },
);

/** Formats by the name that ggml gives them. */
export const BLOCK_FORMATS = {
  F32: f32,
  F16: f16,
  BF16: bf16,
  Q8_0: q8_0,
  TQ1_0: tq1_0,
  TQ2_0: tq2_0,
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
