/** A symmetric matrix as rows. */
export type Matrix = readonly (readonly number[])[];

/** Eigenvalues, and the eigenvectors as columns: A = V diag(values) Vᵀ. In no particular order. */
export interface Eigen {
  readonly values: readonly number[];
  readonly vectors: Matrix;
}

/** Off-diagonal entries below this share of the matrix's norm are zero to the precision of f64. */
const NEGLIGIBLE = 1e-16;

/** Convergence is quadratic: a handful of sweeps does, and what is left after this many is rounding. */
const MAX_SWEEPS = 60;

/**
 * Eigendecomposition of a symmetric matrix by cyclic Jacobi rotations, in f64; the same bits on every machine.
 * @param matrix  [n][n], symmetric, finite; not modified
 * @throws TypeError  an element is not finite
 * @see Golub & Van Loan, Matrix Computations, §8.5
 */
export function symmetricEigen(matrix: Matrix): Eigen {
  const n = matrix.length;
  const a = matrix.map((row) => Float64Array.from(row));
  const v = matrix.map((_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j)));
  const total = Math.sqrt(a.reduce((sum, row) => sum + row.reduce((part, x) => part + x * x, 0), 0));
  if (!Number.isFinite(total)) throw new TypeError('an element of the matrix is not finite');
  for (let sweep = 0; sweep < MAX_SWEEPS && offDiagonal(a) > NEGLIGIBLE * total; sweep++) {
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, v, p, q);
  }
  return { values: a.map((row, i) => row[i] as number), vectors: v.map((row) => [...row]) };
}

function offDiagonal(a: readonly Float64Array[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) for (let j = 0; j < i; j++) sum += 2 * at(a, i, j) ** 2;
  return Math.sqrt(sum);
}

/** Makes a[p][q] zero. */
function rotate(a: readonly Float64Array[], v: readonly Float64Array[], p: number, q: number): void {
  const apq = at(a, p, q);
  if (apq === 0) return;
  const theta = (at(a, q, q) - at(a, p, p)) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < a.length; k++) turn(a[k] as Float64Array, p, q, c, s);
  const [rowP, rowQ] = [a[p] as Float64Array, a[q] as Float64Array];
  for (let k = 0; k < a.length; k++) {
    const [x, y] = [rowP[k] as number, rowQ[k] as number];
    rowP[k] = c * x - s * y;
    rowQ[k] = s * x + c * y;
  }
  // Zero by construction; what rounding left would keep the sweeps going.
  rowP[q] = 0;
  rowQ[p] = 0;
  for (const row of v) turn(row, p, q, c, s);
}

function turn(row: Float64Array, p: number, q: number, c: number, s: number): void {
  const [x, y] = [row[p] as number, row[q] as number];
  row[p] = c * x - s * y;
  row[q] = s * x + c * y;
}

function at(a: readonly Float64Array[], i: number, j: number): number {
  return (a[i] as Float64Array)[j] as number;
}
