import type { Handle } from './addon-types.js';

/** Block formats of GGUF: IEEE half; 32 int8 with a half; 256 ternary at 1.6875 and at 2.0625 bits each. */
export const BLOCK_FORMATS = { F16: 0, Q8_0: 1, TQ1_0: 2, TQ2_0: 3 } as const;
/** Code of a block format, see {@link BLOCK_FORMATS}. */
export type BlockFormatCode = (typeof BLOCK_FORMATS)[keyof typeof BLOCK_FORMATS];

/** Quantisation: ternary weights, block formats of GGUF, SeedLM, codebooks, hyper-compression. */
export interface QuantizeFunctions {
  /**
   * BitNet b1.58 weights, any shape: codes = round(w/m) clipped to ±1, with m = max(mean |w|, 1e-5).
   * @returns [codes i8, step f32[1] = m]; ARGUMENT: an element is NaN or infinite. Ma et al. 2024, arXiv:2402.17764 eq. 1–3
   */
  absmeanQuantize(w: Handle): [codes: Handle, step: Handle];
  /** step · codes of the same, f32; NaN where the mean is. */
  absmeanFakeQuantize(w: Handle): Handle;
  /**
   * Rows of x[..., C] to int8: round(x · s), ties to even, with s = 127 / max(max |x|, 1e-5).
   * @returns [codes i8[..., C], steps f32[...] = 1/s]; ARGUMENT: an element is NaN or infinite
   */
  absmaxQuantize(x: Handle): [codes: Handle, steps: Handle];
  /** codes / s of the same, f32. */
  absmaxFakeQuantize(x: Handle): Handle;
  /**
   * x f32[..., C] -> u8[..., C / elements · bytes] in a block format of GGUF, byte for byte as ggml's reference.
   * SHAPE: C is not a multiple of the block; ARGUMENT: an element is NaN, infinite, or too large for the format's f16.
   */
  encodeBlocks(x: Handle, format: BlockFormatCode): Handle;
  /** The f32 values of blocks u8[..., bytes]; SHAPE: not whole blocks. */
  decodeBlocks(blocks: Handle, format: BlockFormatCode): Handle;
  /** codes i8[N, K] in −1, 0, 1 -> u8[⌈N/16⌉, ⌈K/16⌉, 64]; ARGUMENT: another code. Layout: src/cpu/ternary.h. */
  ternaryPack(codes: Handle): Handle;
  /** i8[rows, columns]; SHAPE: packed has another size; ARGUMENT: a code that pack never writes. */
  ternaryUnpack(packed: Handle, rows: number, columns: number): Handle;
  /** codes i8[..., K] · packed[rows, K]ᵀ -> i32[..., rows], exact. K ≤ 2¹⁸. */
  ternaryAccumulate(codes: Handle, packed: Handle, rows: number): Handle;
  /**
   * x f32[..., K] · (steps ∘ packed[rows, K])ᵀ -> f32[..., rows]: rows of x become int8 as by absmaxQuantize, sums are exact
   * integers, and sum · (step of x · step of w) is rounded at the end. steps f32[1] or f32[rows]. K ≤ 2¹⁸.
   */
  ternaryMatmul(x: Handle, packed: Handle, steps: Handle, rows: number): Handle;
  /**
   * The best of all 2^bits − 1 seeds for each `block` of w/scale (any shape; the last block padded with zeros):
   * block ≈ U(seed) · q · 2^exponent, U[block, rank] from a shift register of `bits`, q and exponent 4-bit integers.
   * @param bits   2..24   @param block 1..64   @param rank 1..4, at most block
   * @returns [seeds i32[n], fields i8[n, 1 + rank]: exponent, then q]. ARGUMENT: not finite, scale not positive.
   *          Shafipour et al. 2024, arXiv:2410.10714; exponent ⌊log₂ max |t|⌋ − 2, so that q fills its four bits
   */
  seedlmEncode(
    w: Handle,
    scale: number,
    bits: number,
    block: number,
    rank: number,
  ): [seeds: Handle, fields: Handle];
  /** The first `count` weights, f32[count]; ARGUMENT: a seed, exponent or q out of range. Same bytes on every machine. */
  seedlmDecode(
    seeds: Handle,
    fields: Handle,
    scale: number,
    bits: number,
    block: number,
    count: number,
  ): Handle;
  /** The first nearest of centroids[K, D], D ≤ 256, to each row of x[N, D] -> [index i32[N], squared distance f32[N]]. */
  nearestCentroid(x: Handle, centroids: Handle): [index: Handle, distance: Handle];
  /**
   * Lloyd's k-means of x[N, D] from k-means++ centres (Arthur & Vassilvitskii 2007), on at most 256·K sampled rows.
   * @param weights     f32[N] ≥ 0, or null for ones: how much each row counts
   * @param iterations  at most, up to 10000; fewer when no row changes its centroid
   * @returns [centroids[K, D], index i32[N], squared distance f32[N]] ARGUMENT: K is not in 1..N
   */
  kmeans(
    x: Handle,
    weights: Handle | null,
    k: number,
    iterations: number,
    seedLo: number,
    seedHi: number,
  ): [centroids: Handle, index: Handle, distance: Handle];
  /**
   * Pairs of weights as numbers of a cell that one trajectory passes: Fan et al. 2024, arXiv:2409.00592. Pairs are centred on
   * their mean; those outside the square of `side` are drawn in by one of `classes` factors; the square has cells² cells.
   * @returns [codes i32[⌈n/2⌉] in 0..(classes + 1)·cells² − 1, frame f32[3]: the centre, and how far the farthest pair lies outside]
   */
  hyperEncode(w: Handle, side: number, cells: number, classes: number): [codes: Handle, frame: Handle];
  /** The first `count` weights, f32[count]; ARGUMENT: a code out of range. */
  hyperDecode(
    codes: Handle,
    frame: Handle,
    side: number,
    cells: number,
    classes: number,
    count: number,
  ): Handle;
  /** Values of i32, i8 or u8, `width` bits each (1..31), least significant bit first -> u8[⌈n·width/8⌉]. ARGUMENT: a value does not fit. */
  packBits(values: Handle, width: number, isSigned: boolean): Handle;
  /** The first `count` values, i32; SHAPE: another number of bytes than they take. */
  unpackBits(bytes: Handle, count: number, width: number, isSigned: boolean): Handle;
}
