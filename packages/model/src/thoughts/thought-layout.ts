import { type Tensor, tensor } from '@agentforge/tensor';

/**
 * How thoughts that grow in parallel lie in memory. A row of T tokens becomes blocks of T columns: block 0 is the text; column
 * i of block b ≥ 1 is element b − 1 of the thought that begins after token i:
 *
 *     block     0     1        2 … n+1      n+2    n+3 … n+1+ahead
 *     column i  x_i   <start>  t_1 … t_n    <end>  x_{i+1} … x_{i+ahead−1}
 *
 * An element sees the text up to its origin i and its own column in the blocks before it: the diagonal of each. Its position is
 * i + b, as if the thought followed the text.
 */
export interface ThoughtLayout {
  /** Rows, R. */
  readonly rows: number;
  /** Tokens per row, T. */
  readonly length: number;
  /** Tokens of a thought between its marks, n. */
  readonly thoughtLength: number;
  /** Tokens predicted after each thought. */
  readonly ahead: number;
}

/** Blocks of a layout, the text included: n + 2 + ahead. */
export function blocksOf({ thoughtLength, ahead }: Pick<ThoughtLayout, 'thoughtLength' | 'ahead'>): number {
  return thoughtLength + 2 + ahead;
}

/**
 * The keys that columns of consecutive blocks see, for `rangedAttention`.
 * @param length  columns of a block, T
 * @param first   first block
 * @param end     block after the last one
 * @returns       i32 [(end − first) · T, end, 2]
 */
export function diagonalRanges(length: number, first: number, end: number): Tensor {
  const data = new Int32Array((end - first) * length * end * 2).fill(end * length);
  let at = 0;
  for (let block = first; block < end; block++) {
    for (let origin = 0; origin < length; origin++, at += 2 * end) {
      data[at] = 0;
      data[at + 1] = origin + 1;
      for (let own = 1; own <= block; own++) {
        data[at + 2 * own] = own * length + origin;
        data[at + 2 * own + 1] = own * length + origin + 1;
      }
    }
  }
  return tensor(data, [(end - first) * length, end, 2]);
}

/** Token `distance` positions after each one of a row, the last one where the row ends: [R, T]. */
export function shifted(tokens: Int32Array, rows: number, distance: number): Int32Array {
  const length = tokens.length / rows;
  return tokens.map((_, at) => {
    const row = Math.floor(at / length);
    return tokens[row * length + Math.min((at % length) + distance, length - 1)] as number;
  });
}
