import { copyRows, rangedAttention, reshape, rope, type Tensor, viewRows, zeros } from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import type { LayerCache, Rotation } from '../llama/kv-cache.js';
import { diagonalRanges } from './thought-layout.js';

/**
 * Attention over all blocks of a layout at once, with a graph.
 * @param length  columns of a block, T
 * @param blocks  of the layout
 */
export function diagonalAttention(length: number, blocks: number): LayerCache {
  const ranges = diagonalRanges(length, 0, blocks);
  return {
    attend: (q, k, v, rotation) =>
      rangedAttention(turn(q, length, rotation), turn(k, length, rotation), v, ranges),
    remember: refuseMemory,
  };
}

/** A memory learns tokens in one order; blocks of thoughts have none. `ThinkingModel` refuses such models. */
function refuseMemory(): never {
  throw new Error('thoughts have no neural memory');
}

/**
 * Rotates column i of block b by i + b. Rotations add up: once by the column, once by the block.
 * @param x  [R, blocks · T, H, D]
 */
function turn(x: Tensor, length: number, rotation: Rotation): Tensor {
  const [rows = 1, columns = 1, heads = 1, width = 1] = x.shape;
  const blocks = columns / length;
  const byColumn = rope(reshape(x, [rows * blocks, length, heads, width]), rotation);
  const byBlock = rope(reshape(byColumn, [rows, blocks, length * heads, width]), rotation);
  return reshape(byBlock, x.shape);
}

/**
 * Keys and values of the blocks computed so far, so that the next block costs T columns instead of all. Without a graph.
 * Buffers of 2 · layers · R · blocks · T · Hkv · D f32, owned until `dispose`.
 */
export class DiagonalCache {
  private readonly keys: readonly Tensor[];
  private readonly values: readonly Tensor[];
  private block = 0;
  private ranges: Tensor;

  constructor(
    config: ModelConfig,
    private readonly rows: number,
    private readonly length: number,
    blocks: number,
  ) {
    const buffer = (): Tensor => zeros([rows, blocks * length, config.numKvHeads, config.headDim]).keep();
    this.keys = Array.from({ length: config.numLayers }, buffer);
    this.values = Array.from({ length: config.numLayers }, buffer);
    this.ranges = diagonalRanges(length, 0, 1).keep();
  }

  /** The part of one layer, for the block that is computed now. */
  layer(index: number): LayerCache {
    const [keys, values] = [this.keys[index] as Tensor, this.values[index] as Tensor];
    return {
      attend: (q, k, v, rotation) => {
        const at = { position0: this.block, ...rotation };
        this.store(keys, rope(k, at));
        this.store(values, v);
        return rangedAttention(rope(q, at), keys, values, this.ranges);
      },
      remember: refuseMemory,
    };
  }

  /** Goes on to the next block. */
  advance(): void {
    this.block++;
    this.ranges.dispose();
    this.ranges = diagonalRanges(this.length, this.block, this.block + 1).keep();
  }

  dispose(): void {
    for (const buffer of [...this.keys, ...this.values, this.ranges]) buffer.dispose();
  }

  private store(buffer: Tensor, block: Tensor): void {
    const row = (x: Tensor, index: number): Tensor =>
      reshape(viewRows(x, index, index + 1), x.shape.slice(1));
    for (let index = 0; index < this.rows; index++)
      copyRows(row(buffer, index), row(block, index), this.block * this.length);
  }
}
