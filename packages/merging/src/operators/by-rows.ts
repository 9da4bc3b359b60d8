import { concat, reshape, scope, type Tensor, transpose, viewRows } from '@agentforge/tensor';

/**
 * Applies a merge of vectors to each row of matrices (the last axis) and puts the results together.
 * @param tensors  of one shape; a vector counts as one row
 */
export function byRows(tensors: readonly Tensor[], merge: (rows: readonly Tensor[]) => Tensor): Tensor {
  const [first] = tensors as [Tensor];
  const columns = first.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : first.size / columns;
  if (rows <= 1) return merge(tensors);
  return scope(() => {
    const matrices = tensors.map((tensor) => reshape(tensor, [rows, columns]));
    const merged = Array.from({ length: rows }, (_, row) =>
      scope(() => merge(matrices.map((matrix) => viewRows(matrix, row, row + 1)))),
    );
    return reshape(concat(merged, 0), first.shape);
  });
}

/** As {@link byRows}, along the first axis: each column of a matrix is a vector. */
export function byColumns(tensors: readonly Tensor[], merge: (rows: readonly Tensor[]) => Tensor): Tensor {
  const [first] = tensors as [Tensor];
  if (first.shape.length < 2) return merge(tensors);
  return scope(() =>
    transpose(
      byRows(
        tensors.map((tensor) => transpose(tensor)),
        merge,
      ),
    ),
  );
}
