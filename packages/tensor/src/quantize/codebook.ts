import type { Handle } from '@agentforge/native';
import { native } from '../backend.js';
import { formatShape } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { float, result } from '../ops/operand.js';
import type { Philox } from '../random/philox.js';
import { Tensor } from '../tensor.js';

/** Which centroid each row has, and how far it is. */
export interface Assignment {
  /** i32 [N]. */
  readonly index: Tensor;
  /** f32 [N], squared Euclidean. */
  readonly distance: Tensor;
}

/** Centroids and the rows they stand for. */
export interface Clusters extends Assignment {
  /** f32 [K, D]. */
  readonly centroids: Tensor;
}

/** How rows are clustered. */
export interface KmeansOptions {
  /** Number of centroids K, 1..N. */
  readonly k: number;
  /** Rounds of assigning and averaging at most; fewer once no row changes. Default 25. */
  readonly iterations?: number;
  /** Chooses the first centroids; its key is used, it does not advance. */
  readonly stream: Philox;
  /** f32 [N] ≥ 0: how much each row counts. Default: all alike. */
  readonly weights?: Tensor;
}

function checkRows(op: string, x: Tensor): Handle {
  if (x.shape.length !== 2)
    throw new ShapeError(`${op}: ${formatShape(x.shape)} is not a matrix of rows [N, D]`);
  return float(op, x);
}

function assignment(index: Handle, distance: Handle, rows: number): Assignment {
  return { index: new Tensor(index, 'i32', [rows]), distance: result(distance, [rows]) };
}

/**
 * k-means of the rows of x: k-means++ on at most 256·K sampled rows, then Lloyd's rounds over all. Centroids that lose all
 * rows move to the rows that lie worst. The same stream gives the same bytes for any number of threads.
 * @param x  f32 [N, D], D ≤ 256
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: shapes; k outside 1..N; negative weights; NaN or infinite elements
 * @see Arthur & Vassilvitskii 2007; Lloyd 1982
 */
export function kmeans(x: Tensor, { k, iterations = 25, stream, weights }: KmeansOptions): Clusters {
  const handle = checkRows('kmeans', x);
  const key = BigInt(`0x${stream.state.key}`);
  const [centroids, index, distance] = native().kmeans(
    handle,
    weights === undefined ? null : float('kmeans', weights),
    k,
    iterations,
    Number(key & 0xffff_ffffn),
    Number(key >> 32n),
  );
  const [rows = 0, width = 0] = x.shape;
  return { centroids: result(centroids, [k, width]), ...assignment(index, distance, rows) };
}

/**
 * The nearest of centroids [K, D] to each row of x [N, D], the first of equals: vector quantisation. gatherRows() decodes.
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: widths differ or exceed 256; NaN or infinite elements
 */
export function nearestCentroid(x: Tensor, centroids: Tensor): Assignment {
  const [index, distance] = native().nearestCentroid(
    checkRows('nearestCentroid', x),
    checkRows('nearestCentroid', centroids),
  );
  return assignment(index, distance, x.shape[0] ?? 0);
}
