import { native } from '../backend.js';
import { type Shape, sizeOf } from '../dtype.js';
import { float, result, typed } from '../ops/operand.js';
import { Tensor } from '../tensor.js';

/** Which matrices SeedLM tries: `bits` K of the shift register, `block` C weights at a time, `rank` P coefficients. */
export interface SeedlmLayout {
  /** 2..24; time and 2^bits grow together. */
  readonly bits: number;
  /** 1..64. */
  readonly block: number;
  /** 1..4, at most block. */
  readonly rank: number;
}

/** The published layouts, named by their bits per weight. Shafipour et al. 2024, table 1. */
export const SEEDLM_LAYOUTS = {
  M4: { bits: 16, block: 8, rank: 3 },
  M3: { bits: 16, block: 12, rank: 4 },
} as const satisfies Record<string, SeedlmLayout>;

/** Weights as seeds: block ≈ scale · U(seed) · q · 2^exponent. */
export interface SeedlmCode {
  readonly layout: SeedlmLayout;
  readonly shape: Shape;
  /** What the blocks were divided by. */
  readonly scale: number;
  /** i32 [n] in 1..2^bits − 1, one per block of weights in memory order; the last block is padded with zeros. */
  readonly seeds: Tensor;
  /** i8 [n, 1 + rank] in −8..7: the exponent, then q. */
  readonly fields: Tensor;
}

const FIELD_BITS = 4;

/** Stored bits per weight: (K + 4 + 4P) / C, without the scale of the tensor. */
export function seedlmBitsPerWeight({ bits, block, rank }: SeedlmLayout): number {
  return (bits + FIELD_BITS * (1 + rank)) / block;
}

/** √(mean w²) as an f32; 1 where it is 0 or not finite. */
function rootMeanSquare(w: Tensor): number {
  const handle = float('seedlmEncode', w);
  const root = Math.fround(Math.sqrt(native().dot(handle, handle) / Math.max(1, w.size)));
  return root > 0 && Number.isFinite(root) ? root : 1;
}

/**
 * For every block the best of all 2^bits − 1 seeds, by exhaustive search. Deterministic; ties go to the lower seed.
 * Encoding what was decoded again need not give the same code where some q is −8, which has no positive twin.
 * @param w      f32, any shape; not modified
 * @param scale  divides the weights; default their root mean square, so that exponents of 4 bits suffice
 * @throws ArgumentError INVALID_ARGUMENT: a layout out of range; an element is NaN or infinite; scale is not positive
 * @see Shafipour et al. 2024, arXiv:2410.10714; exponent ⌊log₂ max |t|⌋ − 2, with which q fills its bits and the error
 *      of normal weights halves against ⌊log₂ max |t|⌋ as printed
 */
export function seedlmEncode(
  w: Tensor,
  layout: SeedlmLayout = SEEDLM_LAYOUTS.M4,
  scale: number = rootMeanSquare(w),
): SeedlmCode {
  const handle = float('seedlmEncode', w);
  const { bits, block, rank } = layout;
  const [seeds, fields] = native().seedlmEncode(handle, scale, bits, block, rank);
  const blocks = Math.ceil(w.size / block);
  return {
    layout: { bits, block, rank },
    shape: w.shape,
    scale,
    seeds: new Tensor(seeds, 'i32', [blocks]),
    fields: new Tensor(fields, 'i8', [blocks, 1 + rank]),
  };
}

/**
 * The weights of a code; the same bytes on every machine.
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: code and shape do not fit; a seed or field out of range
 */
export function seedlmDecode({ layout, shape, scale, seeds, fields }: SeedlmCode): Tensor {
  const flat = native().seedlmDecode(
    typed('seedlmDecode', seeds, 'i32'),
    typed('seedlmDecode', fields, 'i8'),
    scale,
    layout.bits,
    layout.block,
    sizeOf(shape),
  );
  const shaped = native().view(flat, 0, shape);
  native().free(flat);
  return result(shaped, shape);
}
