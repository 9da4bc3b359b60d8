import { native } from '../backend.js';
import { formatShape } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { float, lastAxis, result, typed } from '../ops/operand.js';
import { Tensor } from '../tensor.js';
import type { Quantized } from './bitnet.js';

const PANEL = 16; // rows, and columns of a chunk, of the packed layout

/**
 * Ternary weights W[rows, columns], two bits each, as ternaryMatmul() reads them. Owns its tensors until dispose().
 * The layout is ours and the same on every machine; GGUF's are written by encodeBlocks().
 */
export class TernaryMatrix {
  private constructor(
    readonly rows: number,
    readonly columns: number,
    /** u8 [⌈rows/16⌉, ⌈columns/16⌉, 64]. */
    readonly packed: Tensor,
    /** What code 1 stands for: f32 [1], or [rows]. */
    readonly step: Tensor,
  ) {
    packed.keep();
    step.keep();
  }

  /**
   * Packs codes −1, 0, 1.
   * @param quantized  codes i8 [N, K], K ≤ 2¹⁸, and their step, f32 [1] or [N]; neither is modified
   * @throws ShapeError, ArgumentError INVALID_ARGUMENT: another shape; another code
   */
  static pack({ codes, step }: Quantized): TernaryMatrix {
    const packed = native().ternaryPack(typed('TernaryMatrix.pack', codes, 'i8'));
    const [rows = 0, columns = 0] = codes.shape;
    const shape = [Math.ceil(rows / PANEL), Math.ceil(columns / PANEL), PANEL * 4];
    return TernaryMatrix.fromPacked(rows, columns, new Tensor(packed, 'u8', shape), step);
  }

  /**
   * A matrix from packed bytes, as `packed` gave them; takes over `packed`, copies `step`.
   * @throws ShapeError INVALID_ARGUMENT: bytes or steps do not fit the size
   */
  static fromPacked(rows: number, columns: number, packed: Tensor, step: Tensor): TernaryMatrix {
    typed('TernaryMatrix', packed, 'u8');
    const shape = [Math.ceil(rows / PANEL), Math.ceil(columns / PANEL), PANEL * 4];
    if (formatShape(packed.shape) !== formatShape(shape)) {
      throw new ShapeError(
        `TernaryMatrix: [${rows},${columns}] packs to ${formatShape(shape)}, not ${formatShape(packed.shape)}`,
      );
    }
    if (step.shape.length !== 1 || (step.size !== 1 && step.size !== rows)) {
      throw new ShapeError(`TernaryMatrix: step ${formatShape(step.shape)} must be [1] or [${rows}]`);
    }
    const copied = native().slice(float('TernaryMatrix', step), 0, 0, step.size);
    return new TernaryMatrix(rows, columns, packed, result(copied, step.shape));
  }

  /** The codes, i8 [rows, columns]. @throws ArgumentError INVALID_ARGUMENT: bytes that pack() never writes */
  unpack(): Tensor {
    const codes = native().ternaryUnpack(this.packed.use('TernaryMatrix.unpack'), this.rows, this.columns);
    return new Tensor(codes, 'i8', [this.rows, this.columns]);
  }

  /** Frees the weights. */
  dispose(): void {
    this.packed.dispose();
    this.step.dispose();
  }
}

function checkColumns(op: string, x: Tensor, w: TernaryMatrix): void {
  if (x.shape.length === 0 || lastAxis(x.shape) !== w.columns) {
    throw new ShapeError(
      `${op}: x ${formatShape(x.shape)} and weights [${w.rows},${w.columns}]: last axes must be equal`,
    );
  }
}

/**
 * x · Wᵀ for inference: rows of x become int8 as by absmaxQuantize(), the sums are exact integers, and
 * sum · (step of the row of x · step of W) is rounded at the end. Never recorded. A row with NaN gives NaN.
 * @param x  f32 [..., K]
 * @returns  f32 [..., N]; the same bytes on every instruction set and for any number of threads
 * @throws ShapeError INVALID_ARGUMENT: K differs from w.columns
 */
export function ternaryMatmul(x: Tensor, w: TernaryMatrix): Tensor {
  checkColumns('ternaryMatmul', x, w);
  const { packed, step, rows } = w;
  const handle = native().ternaryMatmul(
    float('ternaryMatmul', x),
    packed.use('ternaryMatmul'),
    step.use('ternaryMatmul'),
    rows,
  );
  return result(handle, [...x.shape.slice(0, -1), rows]);
}

/**
 * The exact integer sums codes · Wᵀ, before any step: i32 [..., N] from i8 [..., K].
 * @throws ShapeError, DtypeError INVALID_ARGUMENT: K differs from w.columns; not i8
 */
export function ternaryAccumulate(codes: Tensor, w: TernaryMatrix): Tensor {
  checkColumns('ternaryAccumulate', codes, w);
  const handle = native().ternaryAccumulate(
    typed('ternaryAccumulate', codes, 'i8'),
    w.packed.use('ternaryAccumulate'),
    w.rows,
  );
  return new Tensor(handle, 'i32', [...codes.shape.slice(0, -1), w.rows]);
}
