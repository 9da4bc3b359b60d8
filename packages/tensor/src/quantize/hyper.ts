import { native } from '../backend.js';
import { type Shape, sizeOf } from '../dtype.js';
import { float, result, typed } from '../ops/operand.js';
import { Tensor } from '../tensor.js';

/** The square that pairs of weights are read in. */
export interface HyperLayout {
  /** Length of its sides, in units of the weights. Default 0.1. */
  readonly side?: number;
  /** Cells along a side; U = cells². Default 40. */
  readonly cells?: number;
  /** Factors that draw pairs from outside in. Default 3. */
  readonly classes?: number;
}

/** Weights as numbers of cells on a trajectory, two weights a number. */
export interface HyperCode {
  readonly layout: Required<HyperLayout>;
  readonly shape: Shape;
  /** i32 [⌈n/2⌉] in 0..(classes + 1) · cells² − 1. */
  readonly codes: Tensor;
  /** f32 [3]: the mean pair, and how far the farthest pair lies outside the square (greatest coordinate). */
  readonly frame: Tensor;
}

/** The published settings for LLaMA. Fan et al. 2024, section 4.1. */
const DEFAULTS = { side: 0.1, cells: 40, classes: 3 } as const;

/** Bits that one code takes, for two weights: ⌈log₂((classes + 1) · cells²)⌉. */
export function hyperBitsPerPair({
  cells = DEFAULTS.cells,
  classes = DEFAULTS.classes,
}: HyperLayout = {}): number {
  return Math.ceil(Math.log2((classes + 1) * cells ** 2));
}

/**
 * Hyper-compression: each pair of neighbouring weights, centred on the mean pair, becomes the number of a cell that a
 * trajectory of irrational slope passes. Inside the square the error is at most half the diagonal of a cell; a pair of
 * class m loses 1 + 2·m·outside/(classes · side) times as much.
 * @param w  f32, any shape, in memory order; an odd last weight is paired with the mean
 * @throws ArgumentError INVALID_ARGUMENT: a layout out of range; an element is NaN or infinite
 * @see Fan et al. 2024, arXiv:2409.00592, sections 3.2 and 3.3
 */
export function hyperEncode(w: Tensor, layout: HyperLayout = {}): HyperCode {
  const { side, cells, classes } = { ...DEFAULTS, ...layout };
  const [codes, frame] = native().hyperEncode(float('hyperEncode', w), side, cells, classes);
  return {
    layout: { side, cells, classes },
    shape: w.shape,
    codes: new Tensor(codes, 'i32', [Math.ceil(w.size / 2)]),
    frame: result(frame, [3]),
  };
}

/**
 * The weights of a code: the middle of each cell, moved back.
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: code and shape do not fit; a number out of range
 */
export function hyperDecode({ layout, shape, codes, frame }: HyperCode): Tensor {
  const flat = native().hyperDecode(
    typed('hyperDecode', codes, 'i32'),
    float('hyperDecode', frame),
    layout.side,
    layout.cells,
    layout.classes,
    sizeOf(shape),
  );
  const shaped = native().view(flat, 0, shape);
  native().free(flat);
  return result(shaped, shape);
}
